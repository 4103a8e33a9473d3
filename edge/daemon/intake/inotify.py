"""
Hints from inotify of what to look at in the inbox, and of who still writes there.

After an overflow of the queue, and of a folder that could not be watched, nothing is known of
writers, and a file counts as finished once it is quiet: see `writers`.
"""

import os
import re
import select
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from errno import EACCES, ENOSPC
from pathlib import Path
from typing import Final

from edge.daemon.intake.walk import MAX_DEPTH, Walk
from edge.daemon.intake.writers import KINDS, Said, Writers
from edge.system import inotify
from edge.system.inotify import Event, Inotify

NO_EVENTS = ("nfs", "cifs", "smb", "fuse", "9p", "virtiofs", "afs", "ceph", "glusterfs", "overlay")
"""File systems that raise no event here for a change made elsewhere."""
OCTAL = re.compile(rb"\\([0-7]{3})")
"""An escaped character in a name, as mountinfo writes blanks."""
NETWORK = tuple(kind for kind in NO_EVENTS if kind != "overlay")
MASK: Final = KINDS | inotify.ATTRIB
READS: Final = 16
"""Reads of the queue in a row: a sender that writes without pause keeps it from getting empty."""


@dataclass(frozen=True, slots=True)
class Hint:
    """Something happened to a path."""

    path: Path
    said: Said
    of_folder: bool = False
    """True if rights of a folder are meant, which decide on all that lies in it."""


@dataclass(frozen=True, slots=True)
class _Leaving:
    """A folder between the two halves of a rename."""

    path: Path
    watches: set[int]
    """The numbers of its own watch and of those below, until they are found elsewhere."""


class Watch:
    """
    A watch on a folder, and on those below it that `add` is told of or that come later.

    It is used by one thread, but for `wake`.

    Raises:
        OSError: no more inotify instances or watches, or the folder is gone.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.overflowed = False
        """True once events were lost, until somebody who listed the folder sets it back."""
        self.ended = False
        """True once the folder is gone; another one may have its name, and its inode, too."""
        self.unwatched: set[Path] = set()
        """Folders that could not be watched, as this user has no more watches."""
        self._folders: dict[int, Path] = {}
        self._leaving: dict[int, _Leaving] = {}
        self._writers = Writers()
        self._closing = threading.Lock()
        self._closed = False
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
        Wait for events until `wake` or for `timeout_s` seconds, and yield what there is.

        Raises:
            OSError: the kernel does not give them.
        """
        ready = select.poll()
        for descriptor in (self._queue.fileno(), self._bell):
            ready.register(descriptor, select.POLLIN)
        ready.poll(timeout_s * 1000)
        left_before = list(self._leaving)
        for _ in range(READS):
            events = list(self._queue.read())
            if not events:
                break
            for event in events:
                yield from self._told(event)
        for cookie in left_before:  # and did not arrive: it has left the inbox
            if cookie in self._leaving:
                self._unwatch(self._leaving.pop(cookie))

    def wake(self) -> None:
        """End the wait for a hint, for good; from any thread, also once this is closed."""
        with self._closing:
            if not self._closed:  # else another file may have the descriptor's number
                os.eventfd_write(self._bell, 1)

    def close(self) -> None:
        """Stop watching."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.close()
                os.close(self._bell)

    def _add(self, folder: Path) -> bool:
        """Watch a folder; False if that was so already."""
        known = len(self._folders)
        # Whoever configured the inbox may have named a link; a sender's link is not followed.
        number = self._queue.add(folder, MASK, follow=folder == self.folder)
        self._folders[number] = folder
        for left in self._leaving.values():
            left.watches.discard(number)
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
            self._writers.forget()
        if event.mask & inotify.IGNORED:
            self.ended |= self._folders.pop(event.watch, None) == self.folder
        folder = self._folders.get(event.watch)
        if folder is not None and event.mask & inotify.ATTRIB:
            path, of_folder = folder / os.fsdecode(event.name), event.mask & inotify.IS_FOLDER != 0
            if not (of_folder and event.name.startswith(b".")):  # such folders are not entered
                yield Hint(path, Said.RIGHTS, of_folder=of_folder)
        if folder is None or not event.name:
            return
        path = folder / os.fsdecode(event.name)
        if event.mask & inotify.IS_FOLDER:
            yield from self._folder_told(path, event)
        else:
            said = self._writers.told(path, event)
            if said is not None:
                yield Hint(path, said)

    def _folder_told(self, path: Path, event: Event) -> Iterator[Hint]:
        if event.mask & inotify.MOVED_FROM:
            # Watched on until it arrives: its files may be closed between the two halves.
            below = {number for number, at in self._folders.items() if at.is_relative_to(path)}
            self._leaving[event.cookie] = _Leaving(path, below)
        depth = len(path.relative_to(self.folder).parts)
        watched = not path.name.startswith(".") and depth <= MAX_DEPTH
        left = self._leaving.pop(event.cookie, None) if event.mask & inotify.MOVED_TO else None
        if event.mask & (inotify.CREATE | inotify.MOVED_TO):
            self._writers.forget_below(path)  # of a folder that had its name before
        if left is not None and watched:
            self._rename(left, path)
        elif left is not None:
            self._unwatch(left)
        if watched and event.mask & (inotify.CREATE | inotify.MOVED_TO | inotify.ATTRIB):
            yield from self._enter(path, depth, new=not event.mask & inotify.ATTRIB)

    def _rename(self, left: _Leaving, path: Path) -> None:
        for number in left.watches:
            if number in self._folders:
                self._folders[number] = path / self._folders[number].relative_to(left.path)
        self._writers.moved(left.path, path)

    def _unwatch(self, left: _Leaving) -> None:
        for number in left.watches:
            if self._folders.pop(number, None) is not None:
                self._queue.remove(number)

    def _enter(self, path: Path, depth: int, *, new: bool) -> Iterator[Hint]:
        if not (self.add(path) or new):
            return  # its rights have changed, and it is watched
        walk, shut = Walk(path, depth, enter=self.add), False
        try:
            for folder, names in walk:
                for name in names:
                    yield Hint(folder / name, self._writers.said_of(folder / name))
        except OSError as error:
            shut = error.errno == EACCES  # else it is gone again
        if shut or walk.unreadable:  # a listing says so
            yield Hint(path, Said.RIGHTS, of_folder=True)


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
