"""Records what became of an image: in the ledger first, then in the archive."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from edge.contract.render import Occasion, encode, render, result_id
from edge.daemon.pipeline.examination import Examination, Parts
from edge.daemon.pipeline.scores import score_of
from edge.daemon.workers.verdict import Died, Interrupted
from edge.domain import Outcome, Rejection, Result
from edge.errors import NOT_WHOLE, Reason, Unavailable
from edge.storage.archiver import Archiver
from edge.storage.known_looks import Since
from edge.storage.ledger.records import Conclusion, Image, Reference, Submission
from edge.storage.ledger.states import Move, State
from edge.system.uptime import uptime_s

log = logging.getLogger(__name__)


class Recorder:
    """
    Writes verdicts into the ledger and moves files to the archive; in the dispatcher's thread.

    Args:
        parts: the shared objects.
        wake_couriers: called when the outbox has a new row.
    """

    def __init__(self, parts: Parts, wake_couriers: Callable[[], None]) -> None:
        self._ledger = parts.ledger
        self._health = parts.health
        self._sender = parts.sender
        self._model = parts.model
        self._spool = parts.spool
        self._exams = parts.exams
        self._look_again_s = parts.look_again_s
        self._wake_couriers = wake_couriers
        self._archiver = Archiver(parts.ledger, parts.spool, parts.health)

    def record(self, examination: Examination, *, stopping: bool) -> bool:
        """
        Record one examination.

        Args:
            examination: as it came back from a worker.
            stopping: true if the daemon ends: a stop that reached the workers too blames no image.

        Returns:
            False if nothing is to be said of it yet, as its writer may go on.

        Raises:
            Unavailable: the ledger cannot be written; nothing was recorded.
        """
        image_id = examination.image.image_id
        match examination.verdict:
            case Died() if stopping:
                self._ledger.images.move(image_id, Move.RELEASE)
            case Died(why):
                log.warning('event=worker_died image=%s why="%s"', image_id[:16], why)
                self._health.count("worker_deaths")
                self._ledger.images.move(image_id, Move.BLAME)
            case Interrupted(why):
                log.info('event=interrupted image=%s why="%s"', image_id[:16], why)
                self._ledger.images.move(image_id, Move.RELEASE)
            case Result() | Rejection() if self._has_changed(examination.image):
                log.info("event=changed_in_work image=%s", image_id[:16])
                self._ledger.images.wait_again(image_id, time.time() + self._look_again_s)
                return False
            case Rejection(reason=reason) if reason in NOT_WHOLE and self._ledger.images.postpone(
                image_id, time.time() + self._look_again_s
            ):
                log.info("event=not_whole_looked_at_again image=%s", image_id[:16])
                return False
            case Result() | Rejection() as outcome:
                self._conclude(examination, outcome)
        return True

    def _has_changed(self, image: Image) -> bool:
        """Tell if the worker may have seen other bytes than those that were hashed."""
        match self._spool.since_hashed(image.path):
            case Since.SAME:
                return False
            case Since.CHANGED:
                return True
            case Since.UNKNOWN:
                try:
                    return not self._spool.is_image(image.path, image.image_id)
                except Unavailable:  # nobody can tell: it is hashed again before it is given out
                    return True

    def reject(self, image_id: str, reason: Reason, detail: str) -> None:
        """Conclude an image that waits and that no worker need see."""
        image = self._ledger.images.find(image_id)
        if image is not None and image.state is State.RECEIVED:
            now, outcome = uptime_s(), Rejection(reason, detail)
            self._conclude(Examination(image, self._model.serving, now, now, outcome), outcome)

    def refuse(self, submission: Submission, why: str, waiting: Reference | None) -> Path | None:
        """
        Record a request and that it is refused, as one, so that no worker ever has its text.

        Args:
            submission: the request's own bytes, which stand in for the image.
            why: the reason.
            waiting: the reference that waits no longer; None if it never waited.

        Returns:
            The place of the bytes, as `Submissions.accept` returns it; None if nothing was
            recorded, as the reference was erased.

        Raises:
            Unavailable: the ledger cannot be written; nothing was recorded.
        """
        now, outcome = uptime_s(), Rejection(Reason.MISSING, why)
        serving = self._model.serving

        def examined(image: Image) -> Examination:
            return Examination(image, serving, now, now, outcome)

        refused = self._ledger.refusals.record(
            submission,
            serving.bundle.bundle_id,
            lambda image: self._conclusion(examined(image), outcome),
            waiting,
            outcome.text,
        )
        if refused is None:
            return None
        if refused.image is not None:
            self._file(examined(refused.image), outcome, refused.payload)
        return refused.path

    def archive_left_over(self) -> bool:
        """Archive some of what a kill or a full disk left; see `Archiver.archive_left_over`."""
        return self._archiver.archive_left_over()

    def _conclude(self, examination: Examination, outcome: Outcome) -> None:
        payload = self._ledger.images.conclude(self._conclusion(examination, outcome))
        self._file(examination, outcome, payload)

    def _file(self, examination: Examination, outcome: Outcome, payload: bytes) -> None:
        """Tell of an outcome that is recorded, and archive the image."""
        image = examination.image
        self._wake_couriers()
        label = outcome.prediction.label if isinstance(outcome, Result) else "rejected"
        self._health.count(label)
        took_ms = examination.took_s * 1e3
        log.info("event=examined image=%s outcome=%s ms=%.0f", image.image_id[:16], label, took_ms)
        self._archiver.archive(image, payload, scored=isinstance(outcome, Result))

    def _conclusion(self, examination: Examination, outcome: Outcome) -> Conclusion:
        image, bundle = examination.image, examination.serving.bundle
        came = self._ledger.arrivals.of(image.image_id)
        came = examination.started if came is None else min(came, examination.started)
        occasion = Occasion(
            image.image_id,
            image.generation,
            image.received_at,
            examination.completed_at,
            wait_s=examination.started - came,
            total_s=examination.ended - came,
        )
        named = result_id(image.image_id, bundle, image.generation)
        key = self._sender.ledger_key
        return Conclusion(
            image_id=image.image_id,
            result_id=named,
            bundle_id=bundle.bundle_id,
            scored=isinstance(outcome, Result),
            render=lambda numbering: encode(
                render(outcome, occasion, bundle, self._sender, numbering)
            ),
            score=score_of(outcome, image.image_id, named, bundle, key)
            if isinstance(outcome, Result)
            else None,
            exam=self._exams.membership(outcome, bundle) if self._exams else None,
        )
