"""Hints from inotify, through watchdog, of what to look at; never the only source of truth."""

import logging
import os
import queue
import re
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver

from edge.system import workarounds

log = logging.getLogger(__name__)
logging.getLogger("watchdog").setLevel(logging.CRITICAL)  # it names files

NO_EVENTS = ("nfs", "cifs", "smb", "fuse", "9p", "virtiofs", "afs", "ceph", "glusterfs", "overlay")
"""File systems that raise no event here for a change made elsewhere."""
OCTAL = re.compile(rb"\\([0-7]{3})")
"""An escaped character in a name, as mountinfo writes blanks."""
NETWORK = tuple(kind for kind in NO_EVENTS if kind != "overlay")
# Watchdog waits so long for the other half of a move. Each file that we claim is moved out, so
# with watchdog's own half second a file that came right after another waited for it. Both halves
# of a move inside the inbox come in one read of the kernel's queue.
PAIRING_S = 0.005
"""Seconds for which a file that was moved out holds up all later events."""


workarounds.pair_moves_within(PAIRING_S)


@dataclass(frozen=True, slots=True)
class Hint:
    """Something happened to a path."""

    path: Path
    finished: bool
    """True if its writer closed it or moved it in whole."""


class Watch(FileSystemEventHandler):
    """
    A recursive watch on one folder.

    Raises:
        OSError: no more inotify watches, or the folder is gone.
    """

    def __init__(self, folder: Path) -> None:
        self.hints: queue.SimpleQueue[Hint] = queue.SimpleQueue()
        self.folder = folder
        self.inode = folder.stat().st_ino
        self._observer = InotifyObserver(generate_full_events=True)
        self._observer.schedule(self, str(folder), recursive=True)
        self._observer.start()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Enqueue a hint; in watchdog's thread."""
        match event:
            case FileClosedEvent():
                self.hints.put(Hint(Path(os.fsdecode(event.src_path)), finished=True))
            case FileMovedEvent() if event.dest_path:
                self.hints.put(Hint(Path(os.fsdecode(event.dest_path)), finished=True))
            case FileCreatedEvent() | FileModifiedEvent():
                self.hints.put(Hint(Path(os.fsdecode(event.src_path)), finished=False))
            case _:
                pass

    def alive(self) -> bool:
        """Tell if watchdog's threads are still there."""
        return self._observer.is_alive() and all(
            emitter.is_alive() for emitter in self._observer.emitters
        )

    def wake(self) -> None:
        """End the wait for a hint."""
        self.hints.put(Hint(self.folder, finished=False))

    def close(self) -> None:
        """Stop watching."""
        self._observer.stop()
        self._observer.join(timeout=2)


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
