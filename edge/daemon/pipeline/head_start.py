"""
A file that is still being hashed and synced goes to an idle worker already; what it says counts
once the ledger has the image.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.daemon.workers.pool import Died, Verdict, Workers


class Answer:
    """
    What a worker says, kept until somebody asks. It is a `done` of Workers.

    Args:
        unasked: called where nobody has asked yet: the worker is idle again.
    """

    def __init__(self, unasked: Callable[[], None] = lambda: None) -> None:
        self.started_at = self.completed_at = time.time()
        """The latter once there is an answer. Unix times, in seconds."""
        self._lock = threading.Lock()
        self._verdict: Verdict | None = None
        self._done: Callable[[Verdict], None] = lambda _: unasked()

    @property
    def pending(self) -> bool:
        """Whether a worker is still with it."""
        return self._verdict is None

    @property
    def died(self) -> bool:
        """Whether the worker ended with it."""
        return isinstance(self._verdict, Died)

    def __call__(self, verdict: Verdict) -> None:
        """The worker has finished."""
        with self._lock:
            self.completed_at = time.time()
            self._verdict, done = verdict, self._done
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
    answer: Answer


class HeadStart:
    """
    At most one file at a time: only the inbox offers any, and it hashes one file after the other.

    Args:
        wake: called from any thread once a worker has finished with a file of which nobody has
            asked yet, and perhaps never will.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._offered: Path | None = None
        self.begun: Begun | None = None
        """What nobody has asked for yet."""

    def offer(self, path: Path) -> None:
        """A file in the spool that is being hashed. From any thread."""
        self._offered = path

    def begin(self, workers: Workers) -> None:
        """
        Give what was offered to a worker. In the thread that submits, and only where one is idle
        and no image waits.
        """
        path, self._offered = self._offered, None
        if path is None or not os.access(
            path, os.R_OK
        ):  # it was handed back, is known already, or the disk fails
            return
        if self.begun is not None and self.begun.workers is workers and self.begun.answer.died:
            # of known bytes, which may come again and again: nobody counts these deaths, so there
            # is no second one
            return
        self.begun = Begun(
            path, workers, Answer(self._wake)
        )  # in place of one that turned out to be known, or no file of ours
        workers.submit(path, self.begun.answer)

    @property
    def unasked(self) -> int:
        """Files that workers are busy with for nobody so far."""
        return int(self.begun is not None and self.begun.answer.pending)

    def has(self, path: Path, workers: Workers) -> bool:
        """Whether one of these workers has begun with it."""
        return self.begun is not None and self.begun.path == path and self.begun.workers is workers

    def take(self, path: Path, workers: Workers) -> Answer | None:
        """
        What these workers say of a file that they began with; None where they did not. In the
        thread that submits.
        """
        if self._offered == path:
            self._offered = None
        if self.begun is None or self.begun.path != path:
            return None
        begun, self.begun = self.begun, None
        return begun.answer if begun.workers is workers else None
