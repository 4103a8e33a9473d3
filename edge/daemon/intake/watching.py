"""The inbox watched: through events if its file system has any, by listing it if not."""

import math
import threading
from collections.abc import Iterator
from errno import EACCES, ENOENT, ENOTDIR
from pathlib import Path
from typing import Final

from edge.config.settings import Inbox
from edge.daemon.intake.inotify import NETWORK, NO_EVENTS, Hint, Watch, filesystem_of
from edge.health import Cause, Health
from edge.system.inotify import watch_limit

QUIET_S: Final = 2.0
"""Seconds without a change after which a local file counts as finished."""
NETWORK_QUIET_S: Final = 10.0
"""The same on a network file system, in seconds."""

AWAY: Final = frozenset({EACCES, ENOENT, ENOTDIR})
"""Errors of a folder that cannot be watched since it cannot be listed either."""


class Watching:
    """
    Keeps a watch on a folder that may come, go, or be mounted over.

    Args:
        settings: of the inbox.
        health: is told if there are no events.
    """

    def __init__(self, settings: Inbox, health: Health) -> None:
        self._settings = settings
        self._health = health
        self._watch: Watch | None = None
        self._place = -1, -1
        """Device and inode of the folder that was found there."""
        self._has_events = False
        self._woken = threading.Event()
        self.polls = False
        """True if the inbox is listed more often, since not all of it has events."""
        self._remote = False
        """True if it lies on a network file system, whose clock is not ours."""
        self.quiet_s = QUIET_S
        """Seconds without a change after which a file counts as finished."""

    def keep(self) -> bool:
        """
        Watch the folder, if that is not so already.

        Returns:
            True if the watch is new, so that the folder has to be listed.

        Raises:
            OSError: the folder is away.
        """
        found = self._settings.path.stat()
        place = found.st_dev, found.st_ino
        if self._watch is not None and (self._watch.ended or self._place != place):
            self.close()
        if self._watch is not None or (self.polls and self._place == place):
            return False
        self._place = place
        kind = filesystem_of(self._settings.path)
        poll = self._settings.poll
        self.polls = poll == "always" or (poll == "auto" and kind.startswith(NO_EVENTS))
        self._has_events = not self.polls
        self._remote = kind.startswith(NETWORK)
        self.quiet_s = self._settings.quiet_s or (NETWORK_QUIET_S if self._remote else QUIET_S)
        if self._has_events:
            self._start(self._settings.path)
        return True

    def begin_listing(self) -> None:
        """Begin anew with folders that could not be watched: each that is walked is tried."""
        if self._watch is not None:
            self._watch.unwatched.clear()
        elif self._has_events:
            self._start(self._settings.path)

    def enter(self, folder: Path) -> None:
        """Watch a folder that is about to be listed, if that is not so already."""
        if self._watch is not None:
            self._watch.add(folder)

    def end_listing(self) -> None:
        """List as often from now on as it takes by the folders that could not be watched."""
        self._report_unwatched()
        if self._watch is not None and self.polls and not self._watch.unwatched:
            self.polls = False
            self._health.recover(Cause.INBOX_WITHOUT_EVENTS)

    def hints(self, timeout_s: float) -> Iterator[Hint]:
        """Wait for events until `wake` or for `timeout_s` seconds, and yield what there is."""
        if self._watch is None:
            self._woken.wait(timeout_s)
            return
        yield from self._watch.hints(timeout_s)
        self._report_unwatched()

    def lost_events(self) -> bool:
        """Tell, once, if events were lost, so that the folder has to be listed."""
        watch = self._watch
        lost = watch is not None and watch.overflowed
        if watch is not None:
            watch.overflowed = False
        return lost

    @property
    def trusted_age_s(self) -> float:
        """Seconds after which an mtime says how long a new file has been lying there."""
        return math.inf if self._remote else self.quiet_s

    @property
    def used(self) -> int | None:
        """Number of folders that are watched; None if the inbox is only listed."""
        return self._watch.used if self._watch is not None else None

    def wake(self) -> None:
        """End the wait for hints, for good; from any thread."""
        self._woken.set()
        watch = self._watch  # another thread may close it and forget it
        if watch is not None:
            watch.wake()

    def close(self) -> None:
        """Watch no more."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _start(self, folder: Path) -> None:
        try:
            self._watch = Watch(folder)
        except OSError as error:
            if error.errno in AWAY:
                raise
            self.polls = True
            self._health.degrade(
                Cause.INBOX_WITHOUT_EVENTS,
                f"inbox: no events, listing it instead: {error.strerror}",
            )
        else:
            self.polls = False
            self._health.recover(Cause.INBOX_WITHOUT_EVENTS)

    def _report_unwatched(self) -> None:
        """List more often from now on if not all folders could be watched."""
        if self._watch is not None and self._watch.unwatched and not self.polls:
            self.polls = True
            self._health.degrade(
                Cause.INBOX_WITHOUT_EVENTS,
                f"inbox: no more watches after {self._watch.used} folders (limit of this user: "
                f"{watch_limit()}), listing it as well: raise fs.inotify.max_user_watches",
            )
