"""
Recovery at start: finish what a kill left half done in ledger, spool and inbox.

The prefix of a name in spool/claimed says whether another copy counts: what was renamed there is
nowhere else and is taken up; what was copied or came over MQTT is still in the inbox or at the
broker unless the ledger has it, and is dropped. If the ledger was lost, inbox and broker may have
been told long ago, so everything is taken up.
"""

import logging
from pathlib import Path

from edge.daemon.pipeline.admission import Admission, Sender
from edge.daemon.pipeline.examination import Parts
from edge.storage.names import RENAMED

log = logging.getLogger(__name__)


class Recovery:
    """Runs once, in the dispatcher's thread, before the first image and before any intake."""

    def __init__(self, parts: Parts, admission: Admission) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._admission = admission
        self.done = False
        """True once all leftovers are sorted: a fresh file is none of them."""

    def run(self) -> None:
        """
        Recover, unless that was done.

        Raises:
            Unavailable: the disk is full or failing; call it again.
        """
        if self.done:
            return
        self._ledger.images.recover()
        lost = self._ledger.restore.why_empty is not None
        self._take_up_orphans(lost=lost)
        for claim, path, fingerprint in self._ledger.submissions.origins():
            self._admission.remove_origin(claim, path, fingerprint)
        if lost:
            self._ledger.restore.finish()
        self.done = True

    def _take_up_orphans(self, *, lost: bool) -> None:
        submissions = self._ledger.submissions
        for path in self._spool.orphans():
            self._health.beat()
            if submissions.owns(path):
                continue
            if submissions.adopt(path):
                log.info("event=lost_file_found")
            elif self._is_spare(path, lost=lost):
                path.unlink(missing_ok=True)
            else:
                log.info("event=orphan_taken_up")
                self._admission.record(self._spool.rehash(path), Sender("folder"))

    def _is_spare(self, path: Path, *, lost: bool) -> bool:
        """Tell if the ledger, the inbox or the broker has the same bytes."""
        if self._ledger.submissions.knows_claim(path.name):
            return True
        return not lost and not path.name.startswith(RENAMED)
