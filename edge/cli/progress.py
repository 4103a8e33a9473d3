"""A progress bar on the standard error, for a person who waits."""

import os
import sys
import time
from types import TracebackType
from typing import Final, Self

BAR: Final = 30
ERASE: Final = "\r\x1b[K"


class Progress:
    """
    A bar with the number of files done and the time left, erased at the end.

    Nothing is drawn for a single file, nor unless the standard error is a terminal.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._drawn = total > 1 and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        self._draw()
        return self

    def step(self) -> None:
        """Note that one more file is done."""
        self._done += 1
        self._draw()

    def hide(self) -> None:
        """Erase the bar, so that a line may be printed in its place; `step` draws it again."""
        if self._drawn:
            print(ERASE, end="", file=sys.stderr, flush=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hide()

    def _draw(self) -> None:
        if self._drawn:
            filled = BAR * self._done // self._total
            bar = f"[{'#' * filled}{'-' * (BAR - filled)}] {self._done} of {self._total} files"
            print(f"{ERASE}{bar}{self._left()}", end="", file=sys.stderr, flush=True)

    def _left(self) -> str:
        if not self._done:
            return ""
        seconds = (time.monotonic() - self._began) / self._done * (self._total - self._done)
        return f", {seconds:.0f} s left"
