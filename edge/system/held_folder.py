"""A folder held open, so that nobody puts another one, or a link, in its place meanwhile."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.system.files import NotReadyError

FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def held(folder: Path, below: Path) -> Iterator[Path]:
    """
    Hold a folder, and yield a path that stays its own, whoever moves or replaces it.

    Args:
        folder: `below`, or a folder in it, at any depth.
        below: the topmost, which may itself be reached through links. It is not held.

    Raises:
        NotReadyError: it is gone, or a link lies between the two.
    """
    if folder == below:
        yield folder
        return
    descriptor = _open(folder, below)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def _open(folder: Path, below: Path) -> int:
    try:
        descriptor = os.open(below, FOLDER)
        for part in folder.relative_to(below).parts:
            above = descriptor
            try:
                descriptor = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=above)
            finally:
                os.close(above)
    except OSError:
        raise NotReadyError from None
    return descriptor
