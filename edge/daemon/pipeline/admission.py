"""Admission of a claimed file: recorded in the ledger, and only then removed elsewhere."""

import logging
from dataclasses import dataclass
from pathlib import Path

from edge.daemon.pipeline.examination import Parts
from edge.domain import Source
from edge.errors import Unavailable
from edge.health import Cause
from edge.storage.claim import Claim
from edge.storage.ledger.records import Submission
from edge.system.files import Fingerprint

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent an image, and who is answered."""

    source: Source
    settled: bool = True
    """True if the sender is known to have finished writing."""
    response_topic: str | None = None
    correlation: bytes | None = None

    def submission(self, claim: Claim) -> Submission:
        """Combine the sender with the file that came."""
        return Submission(
            image_id=claim.image_id,
            path=claim.path,
            name=claim.name,
            source=self.source,
            received_at=claim.received_at,
            settled=self.settled,
            origin=claim.origin,
            response_topic=self.response_topic,
            correlation=self.correlation,
        )


class Admission:
    """Makes submissions durable; from any thread."""

    def __init__(self, parts: Parts) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._model = parts.model
        self._tasks = parts.tasks

    def record(self, claim: Claim, sender: Sender) -> None:
        """
        Make a submission durable; only then remove what else there is of its file.

        Raises:
            Unavailable: the ledger cannot be written; nothing was recorded.
        """
        bundle_id = self._model.serving.bundle.bundle_id
        kept = self._ledger.submissions.accept(sender.submission(claim), bundle_id)
        if kept != claim.path:
            claim.path.unlink(missing_ok=True)
        if claim.origin is not None:
            self.remove_origin(claim.path.name, *claim.origin)
        self._health.count(f"received_{sender.source}")
        self._tasks.wake()

    def record_anew(self, path: Path, name: bytes) -> None:
        """
        Record a file of the spool whose bytes are no longer those the ledger knew.

        Args:
            path: in spool/claimed.
            name: the sender's name of it.

        Raises:
            Unavailable: the file cannot be read, or the ledger not written.
        """
        seen_to_change = Sender("folder", settled=False)
        self.record(self._spool.rehash(path, name), seen_to_change)

    def remove_origins(self) -> None:
        """
        Remove what a kill left of copied files; in a thread that may wait for the inbox.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        for claim, path, fingerprint in self._ledger.submissions.origins():
            self._health.beat()
            self.remove_origin(claim, path, fingerprint)

    def taken_before(self, path: Path) -> bool:
        """
        Tell if a copy left a file of the inbox behind, and try once more to remove it.

        Raises:
            Unavailable: the ledger cannot be read.
        """
        for claim, origin, fingerprint in self._ledger.submissions.origins():
            if origin == path:
                removed = self.remove_origin(claim, path, fingerprint)
                return not removed or not path.exists()
        return False

    def remove_origin(self, claim: str, path: Path, fingerprint: Fingerprint) -> bool:
        """
        Remove what a copy left in the inbox; what cannot be done now is done at the next start.

        Args:
            claim: name of the copy in spool/claimed.
            path: of the original.
            fingerprint: of the original, when it was copied.

        Returns:
            False if the original is still there.
        """
        removed = self._spool.remove_origin(path, fingerprint)
        try:
            if removed:
                self._ledger.submissions.origin_removed(claim)
            left = len(self._ledger.submissions.origins())
        except Unavailable as error:  # the image is recorded: nothing of it may be undone
            log.warning('event=origin_not_noted why="%s"', error)
            return removed
        if left:
            self._health.degrade(
                Cause.INBOX_UNDELETABLE,
                f"inbox: {left} files were taken and cannot be removed: check the folder's mode",
            )
        else:
            self._health.recover(Cause.INBOX_UNDELETABLE)
        return removed
