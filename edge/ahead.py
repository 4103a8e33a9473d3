"""A file that is still being hashed and synced goes to an idle worker already; what it says counts once the ledger has the image."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.workers import Verdict, Workers


class Answer:
    """What a worker says, kept until somebody asks. It is a `done` of Workers."""

    def __init__(self) -> None:
        self.started_at = self.completed_at = time.time()
        """The latter once there is an answer. Unix times, in seconds."""
        self._lock = threading.Lock()
        self._verdict: Verdict | None = None
        self._done: Callable[[Verdict], None] | None = None

    def __call__(self, verdict: Verdict) -> None:
        """The worker has finished."""
        with self._lock:
            self.completed_at = time.time()
            self._verdict, done = verdict, self._done
        if done:
            done(verdict)

    def give_to(self, done: Callable[[Verdict], None]) -> None:
        """Have it told, now or when it is there; once."""
        with self._lock:
            self._done, verdict = done, self._verdict
        if verdict is not None:
            done(verdict)


@dataclass(frozen=True, slots=True)
class Begun:
    """One file at a worker."""

    path: Path
    workers: Workers
    answer: Answer = field(default_factory=Answer)


class HeadStart:
    """At most one file at a time: there is one way in, and it hashes one file after the other."""

    def __init__(self) -> None:
        self._offered: Path | None = None
        self.begun: Begun | None = None
        """What nobody has asked for yet."""

    def offer(self, path: Path) -> None:
        """A file in the spool that is being hashed. From any thread."""
        self._offered = path

    def begin(self, workers: Workers) -> None:
        """Give what was offered to a worker. In the thread that submits, and only where one is idle and no image waits."""
        path, self._offered = self._offered, None
        if path is not None and path.exists():  # else it was handed back, or is known already
            self.begun = Begun(path, workers)  # in place of one that turned out to be known, or no file of ours
            workers.submit(path, self.begun.answer)

    def has(self, path: Path) -> bool:
        """Whether a worker has begun with it."""
        return self.begun is not None and self.begun.path == path

    def take(self, path: Path, workers: Workers) -> Answer | None:
        """What these workers say of a file that they began with; None where they did not. In the thread that submits."""
        if self._offered == path:
            self._offered = None
        if self.begun is None or self.begun.path != path:
            return None
        begun, self.begun = self.begun, None
        return begun.answer if begun.workers is workers else None
