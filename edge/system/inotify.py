"""
The kernel's inotify, as in inotify(7), without a thread and without a guess.

Python has no binding, and those there are hide an overflow of the queue and tell nothing of a file
that is opened for writing and not closed yet.
"""

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EAGAIN
from pathlib import Path
from typing import Final

MODIFY: Final = 0x2
CLOSE_WRITE: Final = 0x8
CLOSE_NOWRITE: Final = 0x10
OPEN: Final = 0x20
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
CREATE: Final = 0x100
OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
"""The watch is gone, since its folder is."""
ONLY_FOLDERS: Final = 0x1000000
NO_LINKS: Final = 0x2000000
NOT_UNLINKED: Final = 0x4000000
"""No events of a file whose name was removed, and that another may have by now."""
IS_FOLDER: Final = 0x40000000

_HEAD: Final = struct.Struct("iIII")
_READ_BYTES: Final = 2**16
_LIMIT: Final = Path("/proc/sys/fs/inotify/max_user_watches")


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the kernel."""

    watch: int
    """The number that `add` returned; -1 for an overflow."""
    mask: int
    cookie: int
    """The same number in both halves of a move."""
    name: bytes
    """The entry's name in its folder; empty for the folder itself."""


class Inotify:
    """
    One queue of events and its watches.

    Raises:
        OSError: this user has no more of them.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events."""
        return self._fd

    def add(self, folder: Path, mask: int) -> int:
        """
        Watch a folder; one that is watched already keeps its number.

        Raises:
            OSError: ENOSPC if this user has no more watches, or the folder is gone.
        """
        flags = mask | ONLY_FOLDERS | NO_LINKS | NOT_UNLINKED
        return self._checked(
            self._libc.inotify_add_watch(self._fd, os.fsencode(folder), ctypes.c_uint32(flags))
        )

    def remove(self, watch: int) -> None:
        """Watch no more; a watch that is gone is none either."""
        self._libc.inotify_rm_watch(self._fd, watch)

    def read(self) -> Iterator[Event]:
        """Yield the events that wait, without waiting for more."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except OSError as error:
            if error.errno == EAGAIN:
                return
            raise
        at = 0
        while at < len(data):
            watch, mask, cookie, size = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            yield Event(watch, mask, cookie, data[at : at + size].rstrip(b"\0"))
            at += size

    def close(self) -> None:
        """Close the queue and all its watches."""
        os.close(self._fd)

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def watch_limit() -> int | None:
    """Return how many watches one user may have; None if the kernel does not say."""
    try:
        return int(_LIMIT.read_text())
    except (OSError, ValueError):
        return None
