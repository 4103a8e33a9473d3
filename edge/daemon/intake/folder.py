"""
The inbox as a source: events and listings are equals, and a ready file is taken once.

An event is only a hint, since the kernel may drop some. So the folder is also listed: at start,
every minute, after a burst of events, and more often if its file system has no events.
"""

import logging
import math
import os
import threading
import time
from pathlib import Path
from typing import Final

from edge.config.settings import Inbox
from edge.daemon.intake import Receiver
from edge.daemon.intake.candidates import Candidate, Candidates, Listing
from edge.daemon.intake.watching import QUIET_S, Watching
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.system.files import NotReadyError
from edge.system.threads import Loop

log = logging.getLogger(__name__)

LOOP: Final = "intake-folder"
TICK_S: Final = 0.5
IDLE_S: Final = 1.0
"""Seconds of waiting for events while no file is known that is not ready."""
BURST: Final = 1000
"""Events at once after which the folder is listed, as the kernel may have dropped some."""
SETTLED_AFTER: Final = 10
"""Quiet times after which a file was finished, whoever wrote it."""


def look_again_s(settings: Inbox) -> float:
    """Say when a truncated file is looked at again: once it is settled, in seconds."""
    return SETTLED_AFTER * (settings.quiet_s or QUIET_S)


class FolderIntake(Loop):
    """
    Watches the inbox and hands each file to the receiver once.

    Args:
        settings: of the inbox.
        receiver: takes the files.
        health: for stamps and reasons.
    """

    def __init__(self, settings: Inbox, receiver: Receiver, health: Health) -> None:
        super().__init__(LOOP, health)
        self._settings = settings
        self._receiver = receiver
        self._candidates = Candidates(settings.path)
        self._watching = Watching(settings, health)
        self._next_listing = 0.0
        self._rest = 0.0
        self._looked = threading.Event()

    def wait_watching(self, timeout_s: float) -> bool:
        """Wait until the inbox is watched, or known to be away, for at most `timeout_s`."""
        return self._looked.wait(timeout_s)

    def wake(self) -> None:
        """End the wait for events."""
        self._watching.wake()

    def seen(self) -> int:
        """Count the files that were seen and not yet taken."""
        return len(self._candidates)

    def turn(self) -> None:
        """Look at the inbox and take what is ready."""
        self._rest = 0.0
        try:
            if self._watching.keep() or time.monotonic() >= self._next_listing:
                self._list()
            self._health.recover(Cause.INBOX_AWAY)
            self._looked.set()
            self._take_ready()
            self._listen()
        except Unavailable as error:
            self._health.degrade(Cause.FILES_WAIT, f"files wait in the inbox: {error}")
            self._rest = TICK_S
        except OSError as error:
            self._health.degrade(Cause.INBOX_AWAY, f"inbox: {error.strerror}")
            self._looked.set()
            self._watching.close()
            self._rest = TICK_S

    def last_turn(self) -> None:
        """Watch no more; what was not taken is found at the next start."""
        self._watching.close()

    def _rest_s(self) -> float:
        return self._rest

    def _list(self) -> None:
        self._next_listing = 0.0  # should it fail
        listing = Listing(self._settings.path)
        for path in listing:
            self._health.beat()
            self._note(path)
        for path in self._candidates.paths():
            self._health.beat()
            self._note(path)  # forgets what is gone
        self._report_unreadable(listing.unreadable)
        every_s = self._settings.poll_s if self._watching.polls else self._settings.rescan_s
        self._next_listing = time.monotonic() + every_s

    def _listen(self) -> None:
        if self._watching.polls:
            timeout_s = min(TICK_S, self._settings.poll_s)
        else:
            timeout_s = TICK_S if self._candidates else IDLE_S
        noted = 0
        for hint in self._watching.hints(timeout_s):
            self._note(hint.path, finished=hint.finished)
            noted += 1
        if noted >= BURST:
            self._next_listing = 0.0

    def _note(self, path: Path, *, finished: bool = False) -> None:
        trusted_age_s = math.inf if self._watching.remote else self._watching.quiet_s
        self._candidates.note(path, finished=finished, trusted_age_s=trusted_age_s)

    def _take_ready(self) -> None:
        now = time.monotonic()
        for path, candidate in self._candidates.oldest_first():
            if self._stop.is_set() or not self._receiver.has_room():
                return
            self._health.beat()
            if candidate.is_ready(now, self._watching.quiet_s):
                self._take(path, candidate, quiet_s=now - candidate.since)

    def _take(self, path: Path, candidate: Candidate, quiet_s: float) -> None:
        self._note(path)
        if self._candidates.get(path) is not candidate or not os.access(path, os.R_OK):
            return
        settled = candidate.finished or quiet_s >= SETTLED_AFTER * self._watching.quiet_s
        try:
            self._receiver.take_file(path, settled=settled, may_copy=settled)
        except NotReadyError:
            if candidate.finished:
                candidate.finished, candidate.since = False, time.monotonic()
        except Unavailable as error:
            self._health.degrade(Cause.FILES_WAIT, f"files wait in the inbox: {error}")
        else:
            self._health.recover(Cause.FILES_WAIT)
            self._candidates.forget(path)

    def _report_unreadable(self, count: int) -> None:
        if count:
            why = f"inbox: {count} files or folders cannot be read: check their owner and mode"
            self._health.degrade(Cause.INBOX_UNREADABLE, why)
        else:
            self._health.recover(Cause.INBOX_UNREADABLE)
