"""
Requests that are refused: recorded, answered and forgotten as one.

The text of a request stands in for the image that it does not have. Were it recorded first and
answered later, a kill in between would leave it for a worker, and the request for a second answer.

A film may be sent as such a text by mistake. If its bytes came as a film, too, it is examined, and
the request gets that outcome: a refusal would answer the film's own sender.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edge.storage.ledger import records
from edge.storage.ledger.arrivals import Arrivals
from edge.storage.ledger.database import Database
from edge.storage.ledger.exams import Exams
from edge.storage.ledger.records import Conclusion, Image, Reference, Submission
from edge.storage.ledger.states import State

Accept: TypeAlias = Callable[[sqlite3.Connection, Submission, str], tuple[Path, Sequence[str]]]
"""`Submissions.accept_within`."""
Conclude: TypeAlias = Callable[[sqlite3.Connection, Conclusion], tuple[bytes, Sequence[str]]]
"""`Images.conclude_within`."""
Settle: TypeAlias = Callable[[sqlite3.Connection, Reference], bool]
"""`References.settle_within`."""
Repeat: TypeAlias = Callable[[sqlite3.Connection, Submission, str], bool]
"""`Requests.refused_before_within`."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was refused."""

    path: Path
    """The place of its bytes, as `Submissions.accept` returns it."""
    image: Image | None
    """It as an image before its outcome; None if it has, or gets, one as a film."""
    payload: bytes = b""
    """Its result."""


class Refusals:
    """The way into a ledger for requests that are refused."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        database: Database,
        *,
        accept: Accept,
        conclude: Conclude,
        settle: Settle,
        repeat: Repeat,
        exams: Exams,
        arrivals: Arrivals,
    ) -> None:
        self._database = database
        self._accept = accept
        self._conclude = conclude
        self._settle = settle
        self._repeat = repeat
        self._exams = exams
        self._arrivals = arrivals

    def record(
        self,
        submission: Submission,
        bundle_id: str,
        conclude: Callable[[Image], Conclusion],
        waiting: Reference | None,
        reason: str,
    ) -> Refused | None:
        """
        Record a request and the outcome that it is refused.

        If its last answer was the same refusal, that is its outcome once more: it may be the same
        request, delivered again.

        Args:
            submission: the request's own bytes.
            bundle_id: the model that serves.
            conclude: makes the outcome.
            waiting: the reference that waits no longer; None if it never waited.
            reason: of the outcome.

        Returns:
            None if it waits no longer already, since it was erased; nothing was recorded.

        Raises:
            Unavailable: the ledger cannot be written; nothing was recorded.
        """
        with self._database.transaction() as db:
            if waiting is not None and not self._settle(db, waiting):
                return None
            known = records.find(db, submission.image_id)
            if known is not None and self._repeat(db, submission, reason):
                return Refused(known.path, None)
            is_film = _is_film(db, submission.image_id)
            path, news = self._accept(db, submission, bundle_id)
            refused = Refused(path, None)
            image = records.find(db, submission.image_id)
            if image is not None and image.state is State.RECEIVED and not is_film:
                payload, more = self._conclude(db, conclude(image))
                refused, news = Refused(path, image, payload), [*news, *more]
            came = self._arrivals.of(submission.image_id)
        if refused.image is not None:
            self._arrivals.drop(submission.image_id, came)
        self._exams.tell(news)
        return refused


def _is_film(db: sqlite3.Connection, image_id: str) -> bool:
    """Tell if such bytes wait for a worker already, or have a score."""
    known = records.find(db, image_id)
    if known is None:
        return False
    scored = "SELECT 1 FROM outcomes WHERE image_id = ? AND scored = 1"
    return known.state is State.RECEIVED or bool(db.execute(scored, (image_id,)).fetchone())
