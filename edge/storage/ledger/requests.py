"""Requests over MQTT that come once more, and what answered them before."""

import sqlite3

from edge.storage.ledger import records
from edge.storage.ledger.database import Database
from edge.storage.ledger.records import Submission
from edge.storage.ledger.results import Results
from edge.storage.ledger.standing import reasons_of


class Requests:
    """The requests of a ledger that have come before."""

    def __init__(self, database: Database, results: Results) -> None:
        self._database = database
        self._results = results

    def answered_before(self, submission: Submission) -> bool:
        """
        Answer a request that is delivered once more by what answered it before.

        Nothing is recorded if its answer is still to come, or on its way.

        Returns:
            False if the ledger does not know such a request, or has forgotten its result.
        """
        with self._database.transaction() as db:
            row = _last_answer(db, submission)
            if row is None:
                return False
            seq, result_id, underway = row
            if seq is None or underway:
                return True
            if result_id is None:
                return False
            self._results.repeat(db, result_id, records.submit(db, submission, None))
            return True

    def answer_to_come(self, submission: Submission) -> bool | None:
        """
        Tell if a request's last answer is still to come, or on its way; False if it was told.

        Returns:
            None if there was no such request.
        """
        with self._database.reading() as db:
            row = _last_answer(db, submission)
        return None if row is None else row[0] is None or row[2]

    def refused_before_within(
        self, db: sqlite3.Connection, submission: Submission, reason: str
    ) -> bool:
        """
        Refuse a request as it was refused before, inside the caller's transaction.

        Returns:
            False if its last answer was not a refusal for this reason.
        """
        _, result_id, _ = _last_answer(db, submission) or (None, None, False)
        if result_id is None or reasons_of(db, result_id) != [reason]:
            return False
        self._results.repeat(db, result_id, records.submit(db, submission, None))
        return True


def _last_answer(
    db: sqlite3.Connection, submission: Submission
) -> tuple[int | None, str | None, bool] | None:
    """
    Find the last answer to a request of the same bytes by the same requester.

    Returns:
        Its number and result id, each None if it has none, and True if it is on its way; None if
        there was no such request.
    """
    who = (submission.image_id, submission.response_topic, submission.correlation)
    query = (
        "SELECT submissions.seq, result_id, EXISTS (SELECT 1 FROM outbox WHERE outbox.seq = "
        "submissions.seq) FROM submissions LEFT JOIN results ON results.submission = "
        "submissions.id WHERE image_id = ? AND source = 'mqtt' AND response_topic IS ? AND "
        "correlation IS ? ORDER BY submissions.id DESC LIMIT 1"
    )
    row = db.execute(query, who).fetchone()
    return None if row is None else (row[0], row[1], bool(row[2]))
