"""Remembers how files looked when they were hashed, so that a changed one is not taken for them."""

import os
import threading
import time
from enum import Enum
from hashlib import blake2b
from pathlib import Path
from typing import Final

from edge.system import files
from edge.system.files import Looks

REMEMBERED: Final = 2048
"""Files of which it is remembered; of others nothing is known, and they are hashed again."""
TICK_NS: Final = 11_000_000
"""Nanoseconds within which the kernel may give two writes the same time."""


class Since(Enum):
    """The things that can be known of a file since it was hashed."""

    SAME = "same"
    CHANGED = "changed"
    UNKNOWN = "unknown"


class KnownLooks:
    """Looks of hashed files by their path; any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[bytes, tuple[bytes, bool]] = {}
        """
        Digests of path and looks, and true if no write since can have left them as they were.

        Digests, as the paths and numbers of so many files are megabytes of a supervisor's memory.
        """

    def note(self, path: Path, looks: Looks, *, alone: bool = False) -> None:
        """
        Remember the looks of a file whose bytes were hashed just now.

        Of one that was written so recently that a further write might not show, it is never known
        that it is the same. Our own renaming counts as a write, since it sets the ctime: that alone
        shows a write whose mtime was set back.

        Args:
            path: the file.
            looks: its looks since before it was hashed.
            alone: true if nobody else can write it.
        """
        sure = alone or max(looks[2:]) + TICK_NS < time.time_ns()
        key = _digest(path)
        with self._lock:
            self._keep(key, _digest(looks), sure=sure)

    def note_other(self, path: Path) -> None:
        """Remember that a file has other bytes than it should, until it is noted anew."""
        with self._lock:
            self._keep(_digest(path), b"", sure=False)

    def moved(self, path: Path, target: Path, before: Looks) -> None:
        """Remember a hashed file under its new name, unless it was written since `before`."""
        with self._lock:
            known = self._known.pop(_digest(path), None)
        after = files.looks(target)
        if known is not None and known[0] == _digest(before) and before[:3] == after[:3]:
            with self._lock:
                self._known[_digest(target)] = (_digest(after), known[1])

    def _keep(self, key: bytes, looks: bytes, *, sure: bool) -> None:
        self._known.pop(key, None)
        self._known[key] = (looks, sure)
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]

    def since(self, path: Path) -> Since:
        """
        Tell if a file is as it was when it was hashed.

        Raises:
            OSError: there is no such file.
        """
        found = files.looks(path)
        with self._lock:
            known = self._known.get(_digest(path))
        if known is not None and known[0] != _digest(found):
            return Since.CHANGED
        return Since.SAME if known is not None and known[1] else Since.UNKNOWN


def _digest(of: Path | Looks) -> bytes:
    return blake2b(
        os.fsencode(of) if isinstance(of, Path) else repr(of).encode(), digest_size=16
    ).digest()
