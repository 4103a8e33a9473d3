"""
The inbox as a source: events and listings are equals, and a file is taken when its writer is done
with it.
"""

import logging
import os
import queue
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.settings import Inbox
from edge.daemon.intake import Receiver
from edge.daemon.intake.inotify import NETWORK, NO_EVENTS, Watch, filesystem_of
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.system.files import NotReadyError

log = logging.getLogger(__name__)

LOOP: Final = "intake-folder"
TICK_S: Final = 0.5
QUIET_S: Final = 2.0
NETWORK_QUIET_S: Final = 10.0
BURST: Final = 1000
IGNORED: Final = (".part", ".tmp")
SETTLED_AFTER: Final = 10
"""A file untouched for so many quiet times was finished, whoever wrote it."""


@dataclass(slots=True)
class Candidate:
    """A file that was seen and not yet taken."""

    size: int
    mtime_ns: int
    since: float
    """Monotonic time at which it last looked different, in seconds."""
    finished: bool = False
    """Whether its writer was seen to close it or to move it in."""


class FolderIntake:
    """Watches the inbox in a thread of its own and hands each file to the receiver once."""

    def __init__(self, settings: Inbox, receiver: Receiver, health: Health) -> None:
        self._folder = settings.path
        self._settings = settings
        self._receiver = receiver
        self._health = health
        self._candidates: dict[Path, Candidate] = {}
        self._watch: Watch | None = None
        self._next_listing = 0.0
        self._seen_inode = -1
        self._polls = False
        self._remote = False
        self._quiet_s = QUIET_S
        self._unreadable = 0
        self._watching = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=LOOP, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def wait_watching(self, timeout_s: float) -> bool:
        """Wait until the inbox is watched (or known to be away), at most so long."""
        return self._watching.wait(timeout_s)

    def stop(self) -> None:
        """Take no more files."""
        self._stop.set()
        if self._watch is not None:
            self._watch.wake()
        self._thread.join(timeout=2)  # what it is in the middle of is finished at the next start

    @property
    def seen(self) -> int:
        """Files that were seen and not yet taken."""
        return len(self._candidates)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._health.stamp(LOOP)
            try:
                self._keep_watching()
                if time.monotonic() >= self._next_listing:
                    self._list()
                self._health.recover(Cause.INBOX_AWAY)
                self._watching.set()
                self._take_ready()
                self._listen()
            except Unavailable as error:
                self._health.degrade(Cause.FILES_WAIT, f"files wait in the inbox: {error}")
                self._stop.wait(TICK_S)
            except OSError as error:
                self._health.degrade(Cause.INBOX_AWAY, f"inbox: {error.strerror}")
                self._watching.set()
                self._unwatch()
                self._stop.wait(TICK_S)
        self._unwatch()
        self._health.retire(LOOP)

    def _keep_watching(self) -> None:
        """(Re)start the watch after the folder came, went or was mounted over."""
        inode = self._folder.stat().st_ino
        if self._watch is not None and (self._watch.inode != inode or not self._watch.alive()):
            self._unwatch()
        if self._watch is not None or (self._polls and self._seen_inode == inode):
            return
        self._seen_inode = inode
        kind = filesystem_of(self._folder)
        self._polls = self._settings.poll == "always" or (
            self._settings.poll == "auto" and kind.startswith(NO_EVENTS)
        )
        self._remote = kind.startswith(NETWORK)
        self._quiet_s = self._settings.quiet_s or (NETWORK_QUIET_S if self._remote else QUIET_S)
        self._next_listing = 0.0
        if not self._polls:
            self._start_watch()

    def _start_watch(self) -> None:
        try:
            self._watch = Watch(self._folder)
        except OSError as error:
            self._polls = True
            self._health.degrade(
                Cause.INBOX_WITHOUT_EVENTS,
                f"inbox: no events, listing it instead: {error.strerror}",
            )
        else:
            self._health.recover(Cause.INBOX_WITHOUT_EVENTS)

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _listen(self) -> None:
        """Wait a moment for events and note what they name."""
        if self._watch is None:
            self._stop.wait(min(TICK_S, self._settings.poll_s))
            return
        noted = 0
        try:
            hint = self._watch.hints.get(timeout=TICK_S if self._candidates else 1.0)
            while True:
                self._note(hint.path, finished=hint.finished)
                noted += 1
                hint = self._watch.hints.get_nowait()
        except queue.Empty:
            if noted >= BURST:  # the kernel may have dropped some, and watchdog does not tell
                self._next_listing = 0.0

    def _list(self) -> None:
        self._unreadable = 0
        for (
            path
        ) in self._walk():  # one at a time: a copy of a long list is memory that the process keeps
            self._health.stamp(LOOP)
            self._note(path, finished=False)
            self._unreadable += not os.access(path, os.R_OK)
        for path in list(self._candidates):
            self._health.stamp(LOOP)
            self._note(path, finished=False)  # forgets what is gone
        self._report_unreadable()
        self._next_listing = time.monotonic() + (
            self._settings.poll_s if self._polls else self._settings.rescan_s
        )

    def _walk(self) -> Iterator[Path]:
        for root, folders, files in os.walk(
            self._folder, onerror=self._note_unreadable, followlinks=False
        ):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not _ignored(name):
                    yield Path(root, name)

    def _note(self, path: Path, *, finished: bool) -> None:
        if _ignored(path.name) or any(
            part.startswith(".") for part in path.relative_to(self._folder).parts
        ):
            return
        try:
            found = path.lstat()
        except OSError:
            self._candidates.pop(path, None)
            return
        if not stat.S_ISREG(found.st_mode):
            return
        known = self._candidates.get(path)
        if known is None:
            self._candidates[path] = Candidate(
                found.st_size, found.st_mtime_ns, self._since(found.st_mtime), finished
            )
        elif (found.st_size, found.st_mtime_ns) != (known.size, known.mtime_ns):
            self._candidates[path] = Candidate(
                found.st_size, found.st_mtime_ns, time.monotonic(), finished
            )
        else:
            known.finished = known.finished or finished

    def _since(self, mtime: float) -> float:
        """
        A local file's own time tells how long it has been lying there; a network's clock is not
        ours.
        """
        age = time.time() - mtime
        return time.monotonic() - (age if age > self._quiet_s and not self._remote else 0.0)

    def _take_ready(self) -> None:
        now = time.monotonic()
        for path, candidate in sorted(self._candidates.items(), key=lambda item: item[1].mtime_ns):
            if self._stop.is_set() or not self._receiver.has_room():
                return
            self._health.stamp(LOOP)
            if candidate.finished or now - candidate.since >= self._quiet_s:
                self._take(path, candidate, quiet_s=now - candidate.since)

    def _take(self, path: Path, candidate: Candidate, quiet_s: float) -> None:
        self._note(path, finished=False)
        if self._candidates.get(path) is not candidate or not os.access(path, os.R_OK):
            return
        settled = candidate.finished or quiet_s >= SETTLED_AFTER * self._quiet_s
        try:
            self._receiver.take_file(path, settled=settled, may_copy=settled)
        except NotReadyError:
            if candidate.finished:
                candidate.finished, candidate.since = False, time.monotonic()
        except Unavailable as error:
            self._health.degrade(Cause.FILES_WAIT, f"files wait in the inbox: {error}")
        else:
            self._health.recover(Cause.FILES_WAIT)
            self._candidates.pop(path, None)

    def _note_unreadable(self, error: OSError) -> None:
        """
        A folder below the inbox that cannot be listed is counted; the inbox itself must be there.
        """
        if error.filename == str(self._folder):
            raise error
        self._unreadable += 1

    def _report_unreadable(self) -> None:
        if self._unreadable:
            why = (
                f"inbox: {self._unreadable} files or folders cannot be "
                "read: check their owner and mode"
            )
            self._health.degrade(Cause.INBOX_UNREADABLE, why)
        else:
            self._health.recover(Cause.INBOX_UNREADABLE)


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.endswith(IGNORED)
