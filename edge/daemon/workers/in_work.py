"""The files that a pool of workers has, and since when."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

VerdictT = TypeVar("VerdictT")
OutcomeT = TypeVar("OutcomeT")


class InWork(Generic[VerdictT, OutcomeT]):
    """Remembers who waits for a verdict, and tells each exactly once; any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: dict[Callable[[VerdictT], None], tuple[float, Future[OutcomeT] | None]] = {}

    def __len__(self) -> int:
        """Count the files in work."""
        with self._lock:
            return len(self._waits)

    def add(self, done: Callable[[VerdictT], None]) -> None:
        """Note a file before the pool is given it."""
        with self._lock:
            self._waits[done] = (time.monotonic(), None)

    def given(self, done: Callable[[VerdictT], None], future: "Future[OutcomeT]") -> None:
        """Note that the pool has a file from now on."""
        now = time.monotonic()
        with self._lock:
            if done in self._waits:
                self._waits[done] = (now, future)

    def waits(self) -> "list[tuple[float, Future[OutcomeT] | None]]":
        """List the age of each file, in seconds, and its future, once the pool has the file."""
        with self._lock:
            return [(time.monotonic() - since, future) for since, future in self._waits.values()]

    def finish(self, done: Callable[[VerdictT], None], verdict: VerdictT) -> None:
        """Tell a verdict, unless `done` was told one already."""
        with self._lock:
            if self._waits.pop(done, None) is None:
                return
        done(verdict)

    def finish_all(self, verdict: VerdictT) -> None:
        """Tell all who wait the same verdict."""
        for done in list(self._waits):
            self.finish(done, verdict)
