"""
Listings of the inbox: they find what no event told of, and say what cannot be read there.

One is made at start, every minute, after events were lost, after rights were changed, and more
often if the file system has no events. Some senders change rights, or have events get lost, without
pause: such listings take a tenth of the time at most.
"""

import math
import os
import stat
import time
from errno import ENOENT, ENOTDIR
from pathlib import Path
from typing import Final

from edge.config.settings import Inbox
from edge.daemon.intake.candidates import Candidates
from edge.daemon.intake.complaints import Complaints
from edge.daemon.intake.inotify import Hint
from edge.daemon.intake.walk import Walk
from edge.daemon.intake.watching import Watching
from edge.daemon.intake.writers import Said
from edge.health import Health

GONE: Final = frozenset({ENOENT, ENOTDIR})
SOON_S: Final = 1.0
"""Seconds until the inbox is listed once rights in it were changed."""
REST: Final = 10.0
"""The rest after a listing before the next that somebody wished for, as a multiple of its time."""


class Listings:
    """
    Lists the inbox whenever that is due.

    Args:
        settings: of the inbox.
        watching: is told of each folder, and says if there are events.
        candidates: the files that are not taken yet.
        complaints: are told what was found.
        health: for stamps.
    """

    def __init__(
        self,
        settings: Inbox,
        watching: Watching,
        candidates: Candidates,
        complaints: Complaints,
        health: Health,
    ) -> None:
        self._settings = settings
        self._watching = watching
        self._candidates = candidates
        self._complaints = complaints
        self._health = health
        self._next = 0.0
        self._rested = -math.inf
        self._writable = True

    def due(self) -> bool:
        """Tell if it is time for one."""
        return time.monotonic() >= self._next

    def within(self, seconds: float) -> None:
        """Have one made in so many seconds, if none is due before."""
        self._next = min(self._next, time.monotonic() + seconds)

    def events_lost(self) -> None:
        """Wish for one now."""
        self._wish(0.0)

    def soon(self) -> None:
        """Wish for one soon."""
        self._wish(SOON_S)

    def _wish(self, seconds: float) -> None:
        self._next = min(self._next, max(time.monotonic() + seconds, self._rested))

    def unreadable_found(self) -> None:
        """Wish for one soon that tells of a file that cannot be read, unless the last one did."""
        if not self._complaints.unreadable:
            self.soon()

    def rights_changed(self, hint: Hint) -> None:
        """Wish for one soon if these rights can matter."""
        if hint.of_folder or (self._complaints.unreadable and os.access(hint.path, os.R_OK)):
            self.soon()

    def look_at_mount(self) -> None:
        """Wish for one soon if the inbox can be written again: a mount raises no event."""
        was, self._writable = self._writable, os.access(self._settings.path, os.W_OK)
        if self._writable and not was:
            self.soon()

    def make(self) -> None:
        """
        List the inbox.

        Raises:
            OSError: it is away.
        """
        self._next = 0.0  # should it fail
        self._watching.begin_listing()
        began = time.monotonic()
        self._candidates.unlock()
        unreadable, too_deep = self._walk()
        self._watching.end_listing()
        for path in self._candidates.paths():
            self._health.beat()
            self._note(path)  # forgets what is gone
        self._complaints.listed(time.monotonic(), unreadable, too_deep)
        every_s = self._settings.poll_s if self._watching.polls else self._settings.rescan_s
        now = time.monotonic()
        self._next, self._rested = now + every_s, now + REST * (now - began)

    def _walk(self) -> tuple[int, int]:
        """Note each file; returns how many files or folders are unreadable, or too deep."""
        walk, unreadable = Walk(self._settings.path, enter=self._watching.enter), 0
        for folder, names in walk:
            for name in names:
                self._health.beat()
                path = folder / name
                self._note(path)
                unreadable += not self._candidates.ignores(path) and _is_shut(path)
        return walk.unreadable + unreadable, walk.too_deep

    def _note(self, path: Path) -> None:
        self._candidates.note(path, Said.SEEN, trusted_age_s=self._watching.trusted_age_s)


def _is_shut(path: Path) -> bool:
    """Tell if a regular file cannot be read, or nobody can say what it is."""
    try:
        found = path.lstat()
    except OSError as error:
        return error.errno not in GONE
    return stat.S_ISREG(found.st_mode) and not os.access(path, os.R_OK)
