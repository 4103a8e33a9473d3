"""
Listings of the inbox: they find what no event told of, and say what cannot be read there.

One is made at start, every minute, after events were lost, after rights were changed, and more
often if the file system has no events. Some senders change rights or times without pause: those
listings take a tenth of the time at most.
"""

import os
import time
from pathlib import Path
from typing import Final

from edge.config.settings import Inbox
from edge.daemon.intake.candidates import Candidates
from edge.daemon.intake.complaints import Complaints
from edge.daemon.intake.inotify import Hint, Said
from edge.daemon.intake.walk import Walk
from edge.daemon.intake.watching import Watching
from edge.health import Health

SOON_S: Final = 1.0
"""Seconds until the inbox is listed once rights in it were changed."""
REST: Final = 10.0
"""The same, at least, as a multiple of what the last listing took."""


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
        self._between_s = SOON_S
        self._writable = True

    def due(self) -> bool:
        """Tell if it is time for one."""
        return time.monotonic() >= self._next

    def at_once(self) -> None:
        """Wish for one now."""
        self._next = 0.0

    def within(self, seconds: float) -> None:
        """Wish for one in so many seconds, if none is due before."""
        self._next = min(self._next, time.monotonic() + seconds)

    def soon(self) -> None:
        """Wish for one soon."""
        self.within(SOON_S)

    def unreadable_found(self) -> None:
        """Wish for one soon that tells of a file that cannot be read, unless the last one did."""
        if not self._complaints.unreadable:
            self.soon()

    def rights_changed(self, hint: Hint) -> None:
        """Wish for one soon, but not too often, if these rights can matter."""
        if hint.of_folder or (self._complaints.unreadable and os.access(hint.path, os.R_OK)):
            self.within(self._between_s)

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
        self._next = time.monotonic() + every_s
        self._between_s = max(SOON_S, REST * (time.monotonic() - began))

    def _walk(self) -> tuple[int, int]:
        """Note each file; returns how many files or folders are unreadable, or too deep."""
        walk, unreadable = Walk(self._settings.path, enter=self._watching.enter), 0
        for folder, names in walk:
            for name in names:
                self._health.beat()
                path = folder / name
                self._note(path)
                unreadable += not (self._candidates.ignores(path) or os.access(path, os.R_OK))
        return walk.unreadable + unreadable, walk.too_deep

    def _note(self, path: Path) -> None:
        self._candidates.note(path, Said.SEEN, trusted_age_s=self._watching.trusted_age_s)
