"""
The inbox as a source: events and listings are equals, and a ready file is taken once.

An event is only a hint, since the kernel may drop some. So the folder is also listed now and then.
A file of which anything else goes wrong than a full disk is left where it is, counted and tried
again later: it never keeps the others waiting.
"""

import logging
import os
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.settings import Inbox
from edge.daemon.intake import Receiver
from edge.daemon.intake.candidates import SETTLED_AFTER, Candidate, Candidates
from edge.daemon.intake.complaints import Complaints
from edge.daemon.intake.listings import Listings
from edge.daemon.intake.watching import QUIET_S, Watching
from edge.daemon.intake.writers import Said
from edge.errors import LockedError, Unavailable
from edge.health import Cause, Health
from edge.system.files import NotReadyError
from edge.system.threads import Loop

log = logging.getLogger(__name__)

LOOP: Final = "intake-folder"
TICK_S: Final = 0.5
IDLE_S: Final = 1.0
"""Seconds of waiting for events while no file is known that is not ready."""
TAKING_S: Final = 0.5
"""Seconds for which files are taken until events are heard again: the kernel keeps only so many."""
SET_ASIDE_S: Final = 600.0
"""Seconds until a file whose taking failed is tried again, if it does not change before."""


def look_again_s(settings: Inbox) -> float:
    """Say when a truncated file is looked at again: once it is settled, in seconds."""
    return SETTLED_AFTER * (settings.quiet_s or QUIET_S)


@dataclass(frozen=True, slots=True)
class Counts:
    """Numbers of an inbox."""

    seen: int
    """Files that were seen and not yet taken."""
    kept: int
    """Files that were copied and stay, in case their senders go on."""
    watches: int | None
    """Folders that are watched; None if the inbox is only listed."""


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
        self._complaints = Complaints(self._candidates, health)
        self._watching = Watching(settings, health)
        self._listings = Listings(
            settings, self._watching, self._candidates, self._complaints, health
        )
        self._rest = 0.0
        self._line: deque[tuple[Path, Candidate]] = deque()
        """The files that still have their turn before any has another one."""
        self._finished = False
        self._looked = threading.Event()

    def wait_watching(self, timeout_s: float) -> bool:
        """Wait until the inbox is watched, or known to be away, for at most `timeout_s`."""
        return self._looked.wait(timeout_s)

    def wake(self) -> None:
        """End the wait for events."""
        self._watching.wake()

    def counts(self) -> Counts:
        """Count files and watches."""
        return Counts(len(self._candidates), self._candidates.kept(), self._watching.used)

    def turn(self) -> None:
        """Look at the inbox and take what is ready."""
        self._rest = 0.0
        try:
            if self._watching.keep() or self._listings.due():
                self._list()
            self._health.recover(Cause.INBOX_AWAY)
            self._looked.set()
            self._finish_taking()
            self._listen(0.0 if self._take_ready() else self._patience_s())
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
        self._listings.make()
        self._receiver.forget_gone(idle=not self._candidates)

    def _patience_s(self) -> float:
        if self._watching.polls:
            return min(TICK_S, self._settings.poll_s)
        return TICK_S if self._candidates else IDLE_S

    def _listen(self, timeout_s: float) -> None:
        self._listings.look_at_mount()
        for hint in self._watching.hints(timeout_s):
            self._health.beat()
            if hint.said is not Said.RIGHTS:
                self._note(hint.path, hint.said)
            else:
                self._listings.rights_changed(hint)
        if self._watching.lost_events():
            self._candidates.forget_writers()
            self._listings.events_lost()
        if self._watching.polls:  # from now on, if its watches have just run out
            self._listings.within(self._settings.poll_s)

    def _note(self, path: Path, said: Said = Said.SEEN) -> None:
        self._candidates.note(path, said, trusted_age_s=self._watching.trusted_age_s)

    def _finish_taking(self) -> None:
        """Do once, in this thread, which alone may wait for the inbox, what a kill left undone."""
        if not self._finished and self._receiver.has_room():
            self._receiver.finish_taking()
            self._finished = True

    def _take_ready(self) -> bool:
        """Take what is ready, the oldest first, for a while; True if some have not had a turn."""
        began = now = time.monotonic()
        self._line = self._line or deque(self._candidates.oldest_first())
        while self._line and now - began < TAKING_S:
            if self._stop.is_set() or not self._receiver.has_room():
                self._line.clear()
                return False
            self._health.beat()
            path, candidate = self._line.popleft()
            known = self._candidates.get(path) is candidate
            if known and candidate.is_ready(now, self._watching.quiet_s):
                self._take(path, candidate, now)
            now = time.monotonic()
        return bool(self._line)

    def _take(self, path: Path, candidate: Candidate, now: float) -> None:
        looks = candidate.looks
        self._note(path)
        if self._candidates.get(path) is not candidate or candidate.looks != looks:
            return
        if not os.access(path, os.R_OK):
            self._listings.unreadable_found()
            return
        quiet = candidate.quiet(now, self._watching.quiet_s)
        try:
            gone = self._receiver.take_file(path, quiet=quiet)
        except NotReadyError:
            # One that changed looks otherwise, and that begins its quiet time anew. One that would
            # have to be copied is to grow quiet for longer: its quiet time goes on.
            candidate.finished, candidate.again_at = False, now + self._watching.quiet_s
        except LockedError:
            candidate.again_at, candidate.locked = now + self._settings.rescan_s, True
            self._complaints.locked(path.parent)
        except Unavailable as error:
            self._health.degrade(Cause.FILES_WAIT, f"files wait in the inbox: {error}")
        except Exception as error:  # noqa: BLE001 - one file, and all others go on
            self._set_aside(path, candidate, error)
        else:
            self._health.recover(Cause.FILES_WAIT)
            if candidate.locked:
                self._listings.soon()
            if gone:
                self._candidates.forget(path)
            else:
                candidate.keep(until=now + self._watching.quiet_s)

    def _set_aside(self, path: Path, candidate: Candidate, error: Exception) -> None:
        candidate.again_at, candidate.failed = time.monotonic() + SET_ASIDE_S, True
        self._health.count("set_aside")
        log.error("event=file_set_aside type=%s", type(error).__name__)
        self._complaints.failed(path, error)
