"""Admission of a claimed file: recorded in the ledger, and only then removed elsewhere."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edge.daemon.pipeline.examination import Parts
from edge.daemon.pipeline.originals import Originals
from edge.domain import Source
from edge.storage.claim import Claim
from edge.storage.ledger.records import Submission


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent an image, and who is answered."""

    source: Source
    settled: bool = True
    """True if the sender is known to have finished writing."""
    response_topic: str | None = None
    correlation: bytes | None = None
    exam: str | None = None
    """Keyed hash of the exam that the sender says the image belongs to."""

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
            exam=self.exam or claim.exam,
            came=claim.came,
        )


Accept: TypeAlias = Callable[[Submission], Path | None]
"""
A function that records a submission, and returns the place of its image's bytes; None if it does
not record it after all.
"""


class Admission:
    """Makes submissions durable; from any thread."""

    def __init__(self, parts: Parts) -> None:
        self._ledger = parts.ledger
        self._spool = parts.spool
        self._health = parts.health
        self._model = parts.model
        self._tasks = parts.tasks
        self.originals = Originals(parts.ledger, parts.spool, parts.health)
        """The files of the inbox that were copied and are still to go."""

    def record(self, claim: Claim, sender: Sender, accept: Accept | None = None) -> None:
        """
        Make a submission durable; only then remove what else there is of its file.

        Args:
            claim: the file.
            sender: of it.
            accept: records it; None to have it examined.

        Raises:
            Unavailable: the ledger cannot be written; nothing was recorded.
        """
        kept = (accept or self._accept)(sender.submission(claim))
        if kept != claim.path:
            # It is recorded: one that went back to the inbox for this would be recorded again.
            with suppress(OSError):  # the next start removes it
                claim.path.unlink(missing_ok=True)
        if claim.origin is not None:
            self._spool.note_inbox(claim.inbox)
            if sender.settled:
                self.originals.remove(claim.path.name, *claim.origin)
        self._health.count(f"received_{sender.source}")
        self._tasks.wake()

    def _accept(self, submission: Submission) -> Path:
        bundle_id = self._model.serving.bundle.bundle_id
        return self._ledger.submissions.accept(submission, bundle_id)
