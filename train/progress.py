"""The lines and bars that a person watching a long command sees."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def say(text: str) -> None:
    """Print one line about where the command is."""
    tqdm.write(text, file=sys.stderr)


def warn(text: str) -> None:
    """Print one line that must not be overlooked."""
    say(f"WARNING: {text}")


def bar(items: Iterable[T], what: str, total: int, *, done: int = 0) -> Iterable[T]:
    """
    Go through `items` with a progress bar.

    In a log file the bar moves every ten seconds instead of ten times a second.
    """
    pause_s = 0.1 if sys.stderr.isatty() else 10.0
    progress: Iterable[T] = tqdm(
        items,
        desc=what,
        total=total,
        initial=done,
        unit="image",
        mininterval=pause_s,
        maxinterval=pause_s,
    )
    return progress
