"""
Who still writes a file of the inbox, as far as events tell.

A file that is created and opened, or modified, has a writer until the kernel tells that it was
closed, under whatever name it has by then. That is known only while the queue of events is whole.
"""

import os
from enum import Enum
from pathlib import Path
from typing import Final, TypeVar

from edge.system import inotify
from edge.system.inotify import Event

K = TypeVar("K")

KINDS: Final = (
    inotify.CREATE
    | inotify.OPEN
    | inotify.MODIFY
    | inotify.CLOSE_WRITE
    | inotify.CLOSE_NOWRITE
    | inotify.MOVED_FROM
    | inotify.MOVED_TO
)
"""The events that say something of a writer."""
REMEMBERED: Final = 2**16
"""Files that may be open at a time; of more, the oldest count as finished once they are quiet."""
LEAVING: Final = 64
"""Renames of open files that may be under way at a time."""


class Said(Enum):
    """The things that an event can say of a file."""

    SEEN = "seen"
    """It may be new or changed."""
    MADE = "made"
    """It is new, whatever had its name before, and nobody is known to have it open."""
    WRITING = "writing"
    """Somebody has it open and writes, or is about to."""
    RELEASED = "released"
    """It was opened and closed, and not written."""
    FINISHED = "finished"
    """Its writer closed it or moved it in whole."""
    RIGHTS = "rights"
    """Its owner, mode, access list or times were changed; of a folder, too."""


class _Phase(Enum):
    """The last that was told of a file that is not closed."""

    MADE = "made"
    OPENED = "opened"
    MODIFIED = "modified"


_NEXT: Final[dict[tuple[_Phase | None, int], tuple[_Phase | None, Said | None]]] = {
    # a hard link is made so, too, and nobody closes it
    (None, inotify.CREATE): (_Phase.MADE, Said.MADE),
    (_Phase.MADE, inotify.OPEN): (_Phase.OPENED, Said.WRITING),
    (None, inotify.MODIFY): (_Phase.MODIFIED, Said.WRITING),
    (_Phase.OPENED, inotify.CLOSE_NOWRITE): (None, Said.RELEASED),
    (None, inotify.CLOSE_WRITE): (None, Said.FINISHED),
}
"""The phase after an event in a phase, or in whichever phase, and what it says."""


class Writers:
    """The files that were made, opened or modified and not closed since, by their paths."""

    def __init__(self) -> None:
        self._known: dict[Path, _Phase] = {}
        self._leaving: dict[int, _Phase] = {}
        """Phases of files between the two halves of a rename, by the number of both."""

    def told(self, path: Path, event: Event) -> Said | None:
        """Take note of an event of a file, and return what it says of that file."""
        phase, what = self._known.pop(path, None), event.mask & KINDS
        if what == inotify.MOVED_FROM:
            if phase is not None:
                _keep(self._leaving, event.cookie, phase, LEAVING)
            return None
        if what == inotify.MOVED_TO:
            phase = self._leaving.pop(event.cookie, None)
            # Renamed and not closed yet; else whole, as a hard link is that nobody has opened.
            opened = phase in {_Phase.OPENED, _Phase.MODIFIED}
            said: Said | None = Said.WRITING if opened else Said.FINISHED
        else:
            phase, said = _NEXT.get((phase, what)) or _NEXT.get((None, what)) or (phase, None)
        if phase is not None:
            _keep(self._known, path, phase, REMEMBERED)
        return said

    def said_of(self, path: Path) -> Said:
        """Return what is known of a file that is found while its folder is listed."""
        open_now = self._known.get(path) in {_Phase.OPENED, _Phase.MODIFIED}
        return Said.WRITING if open_now else Said.MADE

    def moved(self, folder: Path, target: Path) -> None:
        """Know the files below a folder under its new name."""
        for path in self._below(folder):
            self._known[target / path.relative_to(folder)] = self._known.pop(path)

    def forget_below(self, folder: Path) -> None:
        """Know nothing of the files below a folder any more, since another one has its name."""
        for path in self._below(folder):
            del self._known[path]

    def _below(self, folder: Path) -> list[Path]:
        start = f"{folder}{os.sep}"  # text, as each new folder asks: thirty times as fast
        return [path for path in self._known if str(path).startswith(start)]

    def forget(self) -> None:
        """Know nothing any more, since events were lost."""
        self._known.clear()
        self._leaving.clear()


def _keep(known: dict[K, _Phase], key: K, phase: _Phase, most: int) -> None:
    known[key] = phase
    if len(known) > most:
        del known[next(iter(known))]
