"""The lines and bars that a person watching a long command sees."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from tqdm import tqdm

T = TypeVar("T")

STDERR: Final = 2
"""The file descriptor that C++ writes to."""


def say(text: str) -> None:
    """Print one line about where the command is."""
    tqdm.write(text, file=sys.stderr)


def warn(text: str) -> None:
    """Print one line that must not be overlooked."""
    say(f"WARNING: {text}")


@contextmanager
def hushed() -> Iterator[None]:
    """
    Keep what C++ writes to standard error off the terminal; no setting of TensorFlow silences it.

    What was kept is shown if the block raises.
    """
    sys.stderr.flush()
    terminal = os.dup(STDERR)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), STDERR)
        try:
            yield
        except Exception:
            kept.seek(0)
            os.write(terminal, kept.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, STDERR)
            os.close(terminal)


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
