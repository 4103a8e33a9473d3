"""
The kernel's inotify, as in inotify(7), without a thread and without a guess.

The calls are those of watchdog's binding. Its observer is not used: it hides an overflow of the
queue and a missing watch, and tells nothing of a file that is open and not written to yet.
"""

import ctypes
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EAGAIN
from pathlib import Path
from typing import Final

from watchdog.observers import inotify_c
from watchdog.observers.inotify_c import InotifyConstants, Mask, WatchDescriptor

MODIFY: Final = int(InotifyConstants.IN_MODIFY)
ATTRIB: Final = int(InotifyConstants.IN_ATTRIB)
"""Owner, mode, access list or times were changed."""
CLOSE_WRITE: Final = int(InotifyConstants.IN_CLOSE_WRITE)
CLOSE_NOWRITE: Final = int(InotifyConstants.IN_CLOSE_NOWRITE)
OPEN: Final = int(InotifyConstants.IN_OPEN)
MOVED_FROM: Final = int(InotifyConstants.IN_MOVED_FROM)
MOVED_TO: Final = int(InotifyConstants.IN_MOVED_TO)
CREATE: Final = int(InotifyConstants.IN_CREATE)
OVERFLOW: Final = int(InotifyConstants.IN_Q_OVERFLOW)
IGNORED: Final = int(InotifyConstants.IN_IGNORED)
"""The watch is gone, since its folder is."""
ONLY_FOLDERS: Final = int(InotifyConstants.IN_ONLYDIR)
NO_LINKS: Final = int(InotifyConstants.IN_DONT_FOLLOW)
NOT_UNLINKED: Final = int(InotifyConstants.IN_EXCL_UNLINK)
"""No events of a file whose name was removed, and that another may have by now."""
IS_FOLDER: Final = int(InotifyConstants.IN_ISDIR)

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
        self._fd = _checked(inotify_c.inotify_init())
        os.set_blocking(self._fd, False)
        os.set_inheritable(self._fd, False)  # noqa: FBT003

    def fileno(self) -> int:
        """Return the descriptor that is readable when there are events."""
        return self._fd

    def add(self, folder: Path, mask: int, *, follow: bool = False) -> int:
        """
        Watch a folder; one that is watched already keeps its number.

        Args:
            folder: to watch.
            mask: the events to tell.
            follow: true if the folder may be a link to one.

        Raises:
            OSError: ENOSPC if this user has no more watches, or the folder is gone.
        """
        flags = mask | ONLY_FOLDERS | NOT_UNLINKED | (0 if follow else NO_LINKS)
        path = os.fsencode(folder)
        return _checked(inotify_c.inotify_add_watch(self._fd, path, Mask(flags)))

    def remove(self, watch: int) -> None:
        """Watch no more; a watch that is gone is none either."""
        inotify_c.inotify_rm_watch(self._fd, WatchDescriptor(watch))

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


def _checked(result: int) -> int:
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
