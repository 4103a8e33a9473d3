"""
Hints from inotify of what to look at in the inbox, and of who still writes there.

A file that is created and opened, or modified, has a writer until the kernel tells that it was
closed. That is known only while the queue is whole: after an overflow, and for a folder that could
not be watched, nothing is known, and a file counts as finished once it is quiet.
"""

import os
import re
import select
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from errno import EACCES, ENOSPC
from pathlib import Path
from typing import Final

from edge.daemon.intake.walk import MAX_DEPTH, Walk
from edge.system import inotify
from edge.system.inotify import Event, Inotify

NO_EVENTS = ("nfs", "cifs", "smb", "fuse", "9p", "virtiofs", "afs", "ceph", "glusterfs", "overlay")
"""File systems that raise no event here for a change made elsewhere."""
OCTAL = re.compile(rb"\\([0-7]{3})")
"""An escaped character in a name, as mountinfo writes blanks."""
NETWORK = tuple(kind for kind in NO_EVENTS if kind != "overlay")
MASK: Final = (
    inotify.CREATE
    | inotify.OPEN
    | inotify.MODIFY
    | inotify.ATTRIB
    | inotify.CLOSE_WRITE
    | inotify.CLOSE_NOWRITE
    | inotify.MOVED_FROM
    | inotify.MOVED_TO
)
REMEMBERED: Final = 2**16
"""Files that may be open at a time; of more, the oldest count as finished once they are quiet."""


class Said(Enum):
    """The things that an event can say of a file."""

    SEEN = "seen"
    """It may be new or changed."""
    WRITING = "writing"
    """Somebody has it open and writes, or is about to."""
    RELEASED = "released"
    """It was opened and closed, and not written."""
    FINISHED = "finished"
    """Its writer closed it or moved it in whole."""
    RIGHTS = "rights"
    """Its owner, mode, access list or times were changed; of a folder, too."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Something happened to a path."""

    path: Path
    said: Said
    of_folder: bool = False
    """True if rights of a folder are meant, which decide on all that lies in it."""


class _Phase(Enum):
    """The last that was told of a file that is not closed."""

    MADE = "made"
    OPENED = "opened"
    MODIFIED = "modified"


_NEXT: Final[dict[tuple[_Phase | None, int], tuple[_Phase | None, Said | None]]] = {
    # a hard link is made so, too, and nobody closes it
    (None, inotify.CREATE): (_Phase.MADE, Said.SEEN),
    (_Phase.MADE, inotify.OPEN): (_Phase.OPENED, Said.WRITING),
    (None, inotify.MODIFY): (_Phase.MODIFIED, Said.WRITING),
    (_Phase.OPENED, inotify.CLOSE_NOWRITE): (None, Said.RELEASED),
    (None, inotify.CLOSE_WRITE): (None, Said.FINISHED),
}
"""The phase after an event in a phase, or in whichever phase, and what it says."""


class Watch:
    """
    A watch on a folder, and on those below it that `add` is told of or that come later.

    It is used by one thread, but for `wake`.

    Raises:
        OSError: no more inotify instances or watches, or the folder is gone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inode = folder.stat().st_ino
        self.overflowed = False
        """True once events were lost, until somebody who listed the folder sets it back."""
        self.unwatched: set[Path] = set()
        """Folders that could not be watched, as this user has no more watches."""
        self._folders: dict[int, Path] = {}
        self._known: dict[Path, _Phase] = {}
        self._leaving: tuple[int, _Phase | None] = (0, None)
        with ExitStack() as opened:
            self._queue = Inotify()
            opened.callback(self._queue.close)
            self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            opened.callback(os.close, self._bell)
            self._add(folder)
            opened.pop_all()

    @property
    def used(self) -> int:
        """Number of folders that are watched."""
        return len(self._folders)

    def hints(self, timeout_s: float) -> Iterator[Hint]:
        """
        Wait for events until `wake` or for `timeout_s` seconds, and yield all there are.

        Raises:
            OSError: the kernel does not give them.
        """
        ready = select.poll()
        for descriptor in (self._queue.fileno(), self._bell):
            ready.register(descriptor, select.POLLIN)
        ready.poll(timeout_s * 1000)
        while events := list(self._queue.read()):
            for event in events:
                yield from self._told(event)

    def wake(self) -> None:
        """End the wait for a hint, for good; from any thread."""
        os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Stop watching."""
        self._queue.close()
        os.close(self._bell)

    def _add(self, folder: Path) -> bool:
        """Watch a folder; False if that was so already."""
        known = len(self._folders)
        self._folders[self._queue.add(folder, MASK)] = folder
        return len(self._folders) > known

    def add(self, folder: Path) -> bool:
        """
        Watch a folder below; to be called before it is listed, so that nothing falls in between.

        Returns:
            False if it is watched already, cannot be listed, or has to go into `unwatched`.
        """
        new = False
        try:
            new = self._add(folder)
        except OSError as error:
            if error.errno == ENOSPC:
                self.unwatched.add(folder)
                return False
        self.unwatched.discard(folder)
        return new

    def _told(self, event: Event) -> Iterator[Hint]:
        if event.mask & inotify.OVERFLOW:
            self.overflowed = True
            self._known.clear()
        if event.mask & inotify.IGNORED:
            self._folders.pop(event.watch, None)
        folder = self._folders.get(event.watch)
        if folder is not None and event.mask & inotify.ATTRIB:
            path, of_folder = folder / os.fsdecode(event.name), event.mask & inotify.IS_FOLDER != 0
            if not (of_folder and event.name.startswith(b".")):  # such folders are not entered
                yield Hint(path, Said.RIGHTS, of_folder=of_folder)
        if folder is None or not event.name:
            return
        path = folder / os.fsdecode(event.name)
        if event.mask & inotify.IS_FOLDER:
            yield from self._folder_told(path, event.mask)
        else:
            said = self._file_told(path, event)
            if said is not None:
                yield Hint(path, said)

    def _folder_told(self, path: Path, mask: int) -> Iterator[Hint]:
        if mask & inotify.MOVED_FROM:
            self._forget_below(path)
        entered = inotify.CREATE | inotify.MOVED_TO | inotify.ATTRIB
        if mask & entered and not path.name.startswith("."):
            depth = len(path.relative_to(self.folder).parts)
            if depth <= MAX_DEPTH:
                yield from self._enter(path, depth, new=not mask & inotify.ATTRIB)

    def _enter(self, path: Path, depth: int, *, new: bool) -> Iterator[Hint]:
        if not (self.add(path) or new):
            return  # its rights have changed, and it is watched
        walk, shut = Walk(path, depth, enter=self.add), False
        try:
            for folder, names in walk:
                for name in names:
                    yield Hint(folder / name, Said.SEEN)
        except OSError as error:
            shut = error.errno == EACCES  # else it is gone again
        if shut or walk.unreadable:  # a listing says so
            yield Hint(path, Said.RIGHTS, of_folder=True)

    def _forget_below(self, path: Path) -> None:
        for number, folder in list(self._folders.items()):
            if folder.is_relative_to(path):
                self._queue.remove(number)
                del self._folders[number]

    def _file_told(self, path: Path, event: Event) -> Said | None:
        phase, what = self._known.pop(path, None), event.mask & MASK
        if what == inotify.MOVED_FROM:
            self._leaving = (event.cookie, phase)
            return None
        if what == inotify.MOVED_TO:
            cookie, moved = self._leaving
            phase = moved if cookie == event.cookie else None
            # renamed and not closed yet, or whole
            said: Said | None = Said.WRITING if phase is not None else Said.FINISHED
        else:
            phase, said = _NEXT.get((phase, what)) or _NEXT.get((None, what)) or (phase, None)
        if phase is not None:
            self._keep(path, phase)
        return said

    def _keep(self, path: Path, phase: _Phase) -> None:
        self._known[path] = phase
        if len(self._known) > REMEMBERED:
            del self._known[next(iter(self._known))]


def filesystem_of(folder: Path) -> str:
    """Name the type of the file system a folder lies on, as /proc/self/mountinfo does."""
    best, kind = Path("/"), ""
    for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
        left, _, right = line.partition(b" - ")
        mount = Path(
            os.fsdecode(OCTAL.sub(lambda match: bytes([int(match[1], 8)]), left.split()[4]))
        )
        if folder.resolve().is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, os.fsdecode(right.split()[0])
    return kind
