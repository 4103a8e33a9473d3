"""
Recovery at start: finish what a kill left half done in ledger, spool and inbox.

The prefix of a name in spool/claimed says whether another copy counts: what was renamed there is
nowhere else and is taken up; what was copied or came over MQTT is still in the inbox or at the
broker unless the ledger has it, and is dropped. If the ledger was lost, inbox and broker may have
been told long ago, so everything is taken up.

What the inbox does not take back later on, and what changed after it was examined, lies in
spool/claimed unrecorded too, and is taken up as soon as the ledger lets us.

A file that cannot be taken up for a reason of its own stays where it is and keeps nobody waiting:
it is counted, and tried again each minute.
"""

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from edge.daemon.pipeline.admission import Admission, Sender
from edge.daemon.pipeline.examination import Parts
from edge.daemon.pipeline.second_look import SecondLook
from edge.errors import FileTooLargeError, StateDamagedError, Unavailable
from edge.health import Cause
from edge.storage.names import RENAMED
from edge.storage.presence import is_there
from edge.system.threads import note_failure

log = logging.getLogger(__name__)

AGAIN_S: Final = 60.0
"""Seconds after which what was left is tried again."""
SHARE: Final = 100
"""Trying again takes at most this part of the time."""


class Recovery:
    """Runs once, in the dispatcher's thread, before the first image and before any intake."""

    def __init__(self, parts: Parts, admission: Admission) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._admission = admission
        self._second_look = SecondLook(parts)
        self._left: dict[Path, Callable[[], None]] = {}
        """The files that could not be taken up, and what takes each up."""
        self._why = ""
        self._again_at = 0.0
        self.done = False
        """True once all leftovers are sorted: a fresh file is none of them."""

    def run(self) -> None:
        """
        Recover, unless that was done; take up what nobody recorded since.

        Raises:
            Unavailable: the disk is full or failing; call it again.
        """
        if self.done:
            self._second_look.turn()
            self._take_up_stranded()
            self._try_again()
            return
        self._ledger.images.recover()
        lost = self._ledger.restore.why_empty is not None
        self._take_up_orphans(lost=lost)
        self._finish_restore()
        self._again_at = time.monotonic() + AGAIN_S
        self.done = True

    def _take_up_orphans(self, *, lost: bool) -> None:
        for path in self._spool.orphans():
            self._attempt(path, partial(self._sort, path, lost=lost))

    def _take_up_stranded(self) -> None:
        stranded = self._spool.stranded
        while stranded:
            path, name = stranded[0]
            self._attempt(path, partial(self._take_up, path, name))
            stranded.popleft()

    def _try_again(self) -> None:
        begun = time.monotonic()
        if begun < self._again_at:
            return
        self._again_at = begun + AGAIN_S  # should the ledger fail
        self._spool.strand_arrived()
        if not self._left:
            return
        for path, take_up in list(self._left.items()):
            self._attempt(path, take_up)
        took_s = time.monotonic() - begun
        self._again_at = time.monotonic() + max(AGAIN_S, SHARE * took_s)
        self._finish_restore()

    def _finish_restore(self) -> None:
        """Say that a lost ledger has all; else the next start takes what is left for a copy."""
        if not self._left and self._ledger.restore.why_empty is not None:
            self._ledger.restore.finish()

    def _attempt(self, path: Path, take_up: Callable[[], None]) -> None:
        """Leave a file for a while of which anything goes wrong that is no matter of the ledger."""
        self._health.beat()
        try:
            take_up()
        except (StateDamagedError, Unavailable):
            raise
        except _LeftError as error:
            self._leave(path, take_up, str(error))
        except Exception as error:  # noqa: BLE001 - one file, and all others go on
            self._leave(path, take_up, note_failure("orphan_failed", error))
        else:
            self._settle(path)

    def _sort(self, path: Path, *, lost: bool) -> None:
        submissions = self._ledger.submissions
        if submissions.owns(path):
            return
        if submissions.adopt(path):
            log.info("event=lost_file_found")
        elif self._is_spare_copy(path, lost=lost):
            _remove(path)
        else:
            self._take_up(path)

    def _take_up(self, path: Path, name: bytes | None = None) -> None:
        """Record a file as one that has just come, unless it is gone."""
        try:
            claim = self._spool.rehash(path, name) if is_there(path) else None
        except (Unavailable, FileTooLargeError) as error:
            raise _LeftError(str(error)) from error
        if claim is not None:
            self._admission.record(claim, Sender("folder", settled=False))
            if is_there(path) and not self._ledger.submissions.owns(path):
                _remove(path)  # a spare copy that could not be removed: that is tried again
            log.info("event=leftover_taken_up")

    def _leave(self, path: Path, take_up: Callable[[], None], why: str) -> None:
        """Leave one file for a while, rather than have all others wait for it."""
        if path not in self._left:
            log.error('event=orphan_left why="%s"', why)
        self._left[path], self._why = take_up, why
        self._tell()

    def _settle(self, path: Path) -> None:
        """Forget a file that was left, if it was."""
        if self._left.pop(path, None) is not None:
            self._tell()

    def _tell(self) -> None:
        if self._left:
            why = f"{len(self._left)} files in `claimed` cannot be taken up and are left there"
            self._health.degrade(Cause.ORPHANS_LEFT, f"spool: {why}: {self._why}")
        else:
            self._health.recover(Cause.ORPHANS_LEFT)

    def _is_spare_copy(self, path: Path, *, lost: bool) -> bool:
        """Tell if the inbox or the broker had the same bytes, and the ledger or they have them."""
        # The sender of one that was renamed may have gone on: its bytes are compared first.
        if path.name.startswith(RENAMED):
            return False
        return not lost or self._ledger.submissions.knows_claim(path.name)


class _LeftError(Exception):
    """A file in spool/claimed cannot be read or removed now."""


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _LeftError(error.strerror) from error
