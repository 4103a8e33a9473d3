"""Remembers how files looked when they were hashed, so that a changed one is not taken for them."""

import threading
import time
from collections import OrderedDict
from enum import Enum
from pathlib import Path
from typing import Final

from edge.system import files
from edge.system.files import Looks

REMEMBERED: Final = 4096
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
        self._known: OrderedDict[Path, tuple[Looks, bool]] = OrderedDict()
        """Looks, and true if no write since can have left them as they were."""

    def note(self, path: Path, looks: Looks, *, alone: bool = False) -> None:
        """
        Remember the looks of a file whose bytes were hashed just now.

        Of one that was written so recently that a further write might not show, it is never known
        that it is the same.

        Args:
            path: the file.
            looks: its looks since before it was hashed.
            alone: true if nobody else can write it.
        """
        sure = alone or max(looks[2:]) + TICK_NS < time.time_ns()
        with self._lock:
            self._known.pop(path, None)
            self._known[path] = (looks, sure)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def moved(self, path: Path, target: Path, before: Looks) -> None:
        """Remember a hashed file under its new name, unless it was written since `before`."""
        with self._lock:
            known = self._known.pop(path, None)
        after = files.looks(target)
        if known is not None and known[0] == before and before[:3] == after[:3]:
            with self._lock:
                self._known[target] = (after, known[1])

    def since(self, path: Path) -> Since:
        """
        Tell if a file is as it was when it was hashed.

        Raises:
            OSError: there is no such file.
        """
        found = files.looks(path)
        with self._lock:
            known = self._known.get(path)
        if known is not None and known[0] != found:
            return Since.CHANGED
        return Since.SAME if known is not None and known[1] else Since.UNKNOWN
