"""
Head start: an idle worker begins with a file that is still being hashed and synced.

The examination is speculative. Its verdict counts only once the ledger has the image and the
dispatcher asks for it; until then nobody is blamed for it, and nobody waits for it.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.daemon.workers.pool import Workers
from edge.daemon.workers.verdict import Died, Verdict
from edge.system.uptime import uptime_s


class PendingVerdict:
    """
    A verdict that is kept until somebody asks for it; it is a `done` of `Workers.submit`.

    Args:
        unasked: called if nobody has asked when the worker is done: the worker is idle again.
    """

    def __init__(self, unasked: Callable[[], None] = lambda: None) -> None:
        self.started = self.ended = uptime_s()
        """Seconds that the machine had run; the latter is right once there is a verdict."""
        self.completed_at = time.time()
        """Unix time, in seconds; right once there is a verdict."""
        self._lock = threading.Lock()
        self._verdict: Verdict | None = None
        self._done: Callable[[Verdict], None] = lambda _: unasked()

    @property
    def pending(self) -> bool:
        """True while a worker has the file."""
        return self._verdict is None

    @property
    def died(self) -> bool:
        """True if the worker ended with the file."""
        return isinstance(self._verdict, Died)

    def __call__(self, verdict: Verdict) -> None:
        """Take the worker's verdict."""
        with self._lock:
            self.ended, self.completed_at = uptime_s(), time.time()
            self._verdict, done = verdict, self._done
        done(verdict)

    def give_to(self, done: Callable[[Verdict], None]) -> None:
        """Have `done` called with the verdict, once: now, or when there is one."""
        with self._lock:
            self._done, verdict = done, self._verdict
        if verdict is not None:
            done(verdict)


@dataclass(frozen=True, slots=True)
class Begun:
    """One file at a worker."""

    path: Path
    workers: Workers
    verdict: PendingVerdict


class HeadStart:
    """
    At most one speculative examination: the inbox offers one file after the other.

    Args:
        wake: called from any thread when a file is offered, or when a worker has finished with one
            that nobody has asked for.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._offered: Path | None = None
        self.begun: Begun | None = None
        """The examination that nobody has asked for yet."""

    def offer(self, path: Path) -> None:
        """Offer a file in the spool that is being hashed; from any thread."""
        self._offered = path
        self._wake()

    def begin(self, workers: Workers) -> None:
        """
        Give the offered file to a worker.

        In the thread that submits, and only if one is idle and no image waits.
        """
        path, self._offered = self._offered, None
        # A file that was handed back, is known already, or lies on a disk that fails is not there.
        if path is None or not os.access(path, os.R_OK):
            return
        # Nobody counts the deaths of known bytes, which may come again and again: one is enough.
        if self.begun is not None and self.begun.workers is workers and self.begun.verdict.died:
            return
        # It takes the place of one that turned out to be known, or no file of ours.
        self.begun = Begun(path, workers, PendingVerdict(self._wake))
        workers.submit(path, self.begun.verdict)

    @property
    def unasked(self) -> int:
        """Number of speculative examinations still running."""
        return int(self.begun is not None and self.begun.verdict.pending)

    def has(self, path: Path, workers: Workers) -> bool:
        """Tell if one of these workers has begun with a file."""
        return self.begun is not None and self.begun.path == path and self.begun.workers is workers

    def take(self, path: Path, workers: Workers) -> PendingVerdict | None:
        """Ask for the verdict on a file; None if these workers did not begin with it."""
        if self._offered == path:
            self._offered = None
        if self.begun is None or self.begun.path != path:
            return None
        begun, self.begun = self.begun, None
        return begun.verdict if begun.workers is workers else None
