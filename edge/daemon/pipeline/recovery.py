"""
Recovery at start: finish what a kill left half done in ledger, spool and inbox.

The prefix of a name in spool/claimed says whether another copy counts: what was renamed there is
nowhere else and is taken up; what was copied or came over MQTT is still in the inbox or at the
broker unless the ledger has it, and is dropped. If the ledger was lost, inbox and broker may have
been told long ago, so everything is taken up. A leftover that cannot be read stays where it is,
counted, until the next start, and keeps nobody waiting.

What the inbox does not take back later on, and what changed after it was examined, lies in
spool/claimed unrecorded too, and is taken up as soon as the ledger lets us.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.daemon.pipeline.admission import Admission, Sender
from edge.daemon.pipeline.examination import Parts
from edge.daemon.pipeline.second_look import SecondLook
from edge.errors import StateDamagedError, Unavailable
from edge.health import Cause
from edge.storage.names import RENAMED
from edge.system.threads import note_failure

log = logging.getLogger(__name__)


class Recovery:
    """Runs once, in the dispatcher's thread, before the first image and before any intake."""

    def __init__(self, parts: Parts, admission: Admission) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._admission = admission
        self._second_look = SecondLook(parts)
        self._left = 0
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
            return
        self._ledger.images.recover()
        lost = self._ledger.restore.why_empty is not None
        self._take_up_orphans(lost=lost)
        if lost and not self._left:  # else the next start takes what is left for a spare copy
            self._ledger.restore.finish()
        self.done = True

    def _take_up_stranded(self) -> None:
        stranded = self._spool.stranded
        while stranded:
            self._health.beat()
            with self._leaving():
                self._take_up_if_there(*stranded[0])
            stranded.popleft()

    def _take_up_if_there(self, path: Path, name: bytes) -> None:
        if path.exists():
            self._take_up(path, name)
            log.info("event=stranded_file_taken_up")

    def _take_up_orphans(self, *, lost: bool) -> None:
        for path in self._spool.orphans():
            self._health.beat()
            with self._leaving():
                self._sort(path, lost=lost)

    def _sort(self, path: Path, *, lost: bool) -> None:
        submissions = self._ledger.submissions
        if submissions.owns(path):
            return
        if submissions.adopt(path):
            log.info("event=lost_file_found")
        elif self._is_spare(path, lost=lost):
            self._remove(path)
        else:
            self._take_up(path)
            log.info("event=orphan_taken_up")

    @contextmanager
    def _leaving(self) -> Iterator[None]:
        """Leave a file of which anything goes wrong that is no matter of disk or ledger."""
        try:
            yield
        except (StateDamagedError, Unavailable):
            raise
        except Exception as error:  # noqa: BLE001 - one file, and all others go on
            self._leave(note_failure("orphan_failed", error))

    def _take_up(self, path: Path, name: bytes | None = None) -> None:
        try:
            claim = self._spool.rehash(path, name)
        except Unavailable as error:
            self._leave(str(error))
        else:
            self._admission.record(claim, Sender("folder", settled=False))

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._leave(str(error.strerror))

    def _leave(self, why: str) -> None:
        """Leave one file to the next start, rather than have all others wait for it."""
        log.error('event=orphan_left why="%s"', why)
        self._left += 1
        self._health.degrade(
            Cause.ORPHANS_LEFT,
            f"spool: {self._left} files in `claimed` cannot be taken up and are left there: {why}",
        )

    def _is_spare(self, path: Path, *, lost: bool) -> bool:
        """Tell if the ledger, the inbox or the broker has the same bytes."""
        if self._ledger.submissions.knows_claim(path.name):
            return True
        return not lost and not path.name.startswith(RENAMED)
