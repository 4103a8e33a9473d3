"""Sizes of files that nobody has to wait for: one may have any, take no room itself, and grow."""

from errno import EBUSY
from pathlib import Path
from typing import Final

from edge.errors import FileTooLargeError, NoRoomError
from edge.system import files

TIMES: Final = 16
"""A file may be larger than `[worker] max_file_mb` so many times: it is hashed and rejected."""
MOST_MB: Final = TIMES * 256
"""The largest file that is hashed, in MiB, unless the configuration allows larger ones."""


def hash_if_small(path: Path, beat: files.Beat, most_mb: int) -> str:
    """
    Hash a regular file (SHA-256, hex), which is on the disk when this returns.

    Its sender may still have it open, and have it grow without end.

    Raises:
        FileTooLargeError: it has more than `most_mb` MiB, or has by now.
        OSError: it cannot be read.
    """

    def beat_and_look() -> None:
        beat()
        _demand(path.lstat().st_size, most_mb)

    _demand(path.lstat().st_size, most_mb)
    return files.sha256_and_sync(path, beat_and_look)


class FileChangedError(OSError):
    """Somebody writes a file while it is read."""

    def __init__(self) -> None:
        super().__init__(EBUSY, "a file is being written")


def unchanged(path: Path, beat: files.Beat) -> files.Beat:
    """
    Make a beat for reading a file that ends it at the first change: a file may grow for ever.

    Returns:
        A beat that raises FileChangedError, or another OSError if the file is gone.

    Raises:
        OSError: there is no such file.
    """
    before = files.looks(path)

    def beat_and_look() -> None:
        beat()
        if files.looks(path) != before:
            raise FileChangedError

    return beat_and_look


def demand_size(path: Path, most_mb: int) -> None:
    """
    Demand that a file can be hashed soon.

    Raises:
        FileTooLargeError: it has more than `most_mb` MiB.
        NotReadyError: there is no such file.
    """
    _demand(files.fingerprint(path)[2], most_mb)


def demand_room(folder: Path, size: int) -> None:
    """
    Demand room for a copy, which would else fill the disk for all others before it fails.

    Raises:
        NoRoomError: there is none.
        OSError: nobody can tell.
    """
    if files.free_bytes(folder) < size:
        msg = f"spool: no room for a file of {size >> 20} MiB"
        raise NoRoomError(msg)


def _demand(size: int, most_mb: int) -> None:
    if size > most_mb * 2**20:
        msg = f"a file has more than {most_mb} MiB"
        raise FileTooLargeError(msg)
