"""Pools of workers that a test drives by hand, and `Serving` objects around them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from edge.daemon.workers.pool import Workers
from edge.daemon.workers.serving import Serving
from edge.daemon.workers.verdict import Interrupted, Verdict
from edge.models.bundle import verify


@dataclass
class Pool:
    """A pool whose workers answer when the test tells them to."""

    job: Any = field(default_factory=lambda: SimpleNamespace(count=1))
    asked: list[Callable[[Verdict], None]] = field(default_factory=list)
    hangs: bool = False
    closed: bool = False

    @property
    def in_work(self) -> int:
        return len(self.asked)

    def submit(self, _path: Path, done: Callable[[Verdict], None]) -> None:
        self.asked.append(done)

    def overdue(self) -> bool:
        return self.hangs and bool(self.asked)

    def reopen(self) -> None:
        self.answer(Interrupted("pool stopped"))

    def answer(self, verdict: Verdict) -> None:
        self.asked.pop()(verdict)

    def close(self) -> None:
        self.closed = True


def serving(pool: Pool) -> Serving:
    return Serving(cast("Any", SimpleNamespace(bundle_id="b")), cast("Any", pool))


class NoWorkers:
    """A pool that can only be closed."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def serving_from(folder: Path) -> Serving:
    return Serving(verify(folder), cast(Workers, NoWorkers()))
