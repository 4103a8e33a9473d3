"""The time that each step of an examination takes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from edge.domain import Timing


class Clock:
    """A stopwatch for the steps, in milliseconds."""

    def __init__(self) -> None:
        self.timing = Timing()

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        """Time the block as `decode`, `prepare` or `infer`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.timing = replace(self.timing, **{step: (time.perf_counter() - start) * 1000})
