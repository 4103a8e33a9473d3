"""Submissions: files and requests that came, recorded before anyone is told."""

import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from edge.storage.ledger import records
from edge.storage.ledger.arrivals import Arrivals
from edge.storage.ledger.database import Database
from edge.storage.ledger.exams import Exams
from edge.storage.ledger.records import Image, Submission
from edge.storage.ledger.results import Results
from edge.storage.ledger.standing import had_passing_answer, standing_result
from edge.storage.ledger.states import Move, State, move
from edge.system.files import is_seen
from edge.system.uptime import uptime_s

DONE_WITH: Final = frozenset({State.CONCLUDED, State.ARCHIVED})


class Submissions:
    """The submissions of a ledger, and the files they came as."""

    def __init__(
        self, database: Database, results: Results, exams: Exams, arrivals: Arrivals
    ) -> None:
        self._database = database
        self._results = results
        self._exams = exams
        self._arrivals = arrivals

    def accept(self, submission: Submission, bundle_id: str) -> Path:
        """
        Record a submission, which then needs a worker, an answer or nothing.

        Returns:
            The place of the image's bytes: `submission.path`, or an earlier one, and then
            `submission.path` is a spare copy.
        """
        with self._database.transaction() as db:
            kept, news = self.accept_within(db, submission, bundle_id)
        self._exams.tell(news)
        return kept

    def accept_within(
        self, db: sqlite3.Connection, submission: Submission, bundle_id: str
    ) -> tuple[Path, Sequence[str]]:
        """See `accept`; inside the caller's transaction, after which the exams are told."""
        news: Sequence[str] = ()
        claim: str | None = submission.path.name
        of_claim = "SELECT image_id FROM submissions WHERE claim = ?"
        recorded = db.execute(of_claim, (claim,)).fetchone()
        if recorded == (submission.image_id,):  # before a kill
            if is_seen(submission.path):
                self._adopt(db, submission.path)  # the bytes may have gone elsewhere since
            return _path(db, submission.image_id), ()
        if recorded:  # the name is another image's
            claim = None
        known = records.find(db, submission.image_id)
        if known is None:
            db.execute(
                "INSERT INTO images (image_id, state, path, name, "
                "received_at) VALUES (?, ?, ?, ?, ?)",
                (
                    submission.image_id,
                    State.RECEIVED,
                    os.fsencode(submission.path),
                    submission.name,
                    submission.received_at,
                ),
            )
            self._arrivals.note(submission.image_id, submission.came)
        elif not is_seen(known.path):
            records.set_path(db, submission.image_id, submission.path)
        number = records.submit(db, submission, claim)
        if known is not None and known.state in DONE_WITH:
            # Removed out of done or failed: it goes there again.
            removed = known.state is State.ARCHIVED and not is_seen(known.path)
            standing = None if removed else standing_result(db, known, bundle_id)
            news = self._answer_or_renew(db, known, number, standing, submission.came)
        return _path(db, submission.image_id), news

    def request_again(self, image_id: str, submission: Submission, bundle_id: str) -> bool:
        """Record a submission of bytes that are here already; False if they are not."""
        news: Sequence[str] = ()
        with self._database.transaction() as db:
            known = records.find(db, image_id)
            if known is None:
                return False
            result_id = standing_result(db, known, bundle_id)
            if result_id is None and not is_seen(known.path):
                return False  # they would have to be examined, and the operator has removed them
            number = records.submit(db, submission, None)
            if known.state in DONE_WITH:
                news = self._answer_or_renew(db, known, number, result_id, submission.came)
        self._exams.tell(news)
        return True

    def retry(self, image_ids: Iterable[str]) -> None:
        """
        Examine concluded images again, all or none, each under a new generation and result id.
        """
        with self._database.transaction() as db:
            for image_id in image_ids:
                again = "generation = generation + 1, attempts = 0, interrupted = 0"
                db.execute(f"UPDATE images SET {again} WHERE image_id = ?", (image_id,))
                self._submit_ourselves(db, image_id)

    def adopt(self, path: Path) -> bool:
        """
        Take a file in spool/claimed for its image's again, if the bytes are nowhere else.

        Returns:
            False if they are.
        """
        with self._database.transaction() as db:
            return self._adopt(db, path)

    def forget(self, image_id: str) -> bool:
        """
        Drop an image whose bytes have changed, so that its file can be taken up anew.

        Returns:
            False if the bytes came twice, or somebody asked or was answered.
        """
        came = self._arrivals.of(image_id)
        with self._database.transaction() as db:
            bound = (
                "SELECT count(*) > 1 OR sum(seq IS NOT NULL OR source = "
                "'mqtt') FROM submissions WHERE image_id = ?"
            )
            if db.execute(bound, (image_id,)).fetchone()[0]:
                return False
            db.execute("DELETE FROM submissions WHERE image_id = ? AND seq IS NULL", (image_id,))
            db.execute("DELETE FROM images WHERE image_id = ? AND state = 'received'", (image_id,))
        self._arrivals.drop(image_id, came)
        return True

    def knows_claim(self, claim: str) -> bool:
        """Tell if a file in spool/claimed was recorded."""
        with self._database.reading() as db:
            return (
                db.execute("SELECT 1 FROM submissions WHERE claim = ?", (claim,)).fetchone()
                is not None
            )

    def owns(self, path: Path) -> bool:
        """Tell if an image's bytes are at this path."""
        with self._database.reading() as db:
            return (
                db.execute("SELECT 1 FROM images WHERE path = ?", (os.fsencode(path),)).fetchone()
                is not None
            )

    def settled(self, image_id: str) -> bool:
        """Tell if a sender of an image is known to have finished."""
        with self._database.reading() as db:
            return (
                db.execute(
                    "SELECT 1 FROM submissions WHERE image_id = ? AND settled = 1", (image_id,)
                ).fetchone()
                is not None
            )

    def _answer_or_renew(
        self, db: sqlite3.Connection, known: Image, number: int, result_id: str | None, came: float
    ) -> Sequence[str]:
        """Answer a submission, or have its image examined; returns what is to be told of exams."""
        if result_id is not None:
            self._results.repeat(db, result_id, number)
            return self._exams.join(db, known.image_id)
        move(db, known.image_id, Move.RENEW)
        if had_passing_answer(db, known):  # another result id: that one is taken
            again = "UPDATE images SET generation = generation + 1 WHERE image_id = ?"
            db.execute(again, (known.image_id,))
        arrived = "SELECT received_at FROM submissions WHERE id = ?"
        db.execute(
            f"UPDATE images SET received_at = ({arrived}) WHERE image_id = ?",
            (number, known.image_id),
        )
        self._arrivals.note(known.image_id, came)
        return ()

    def _adopt(self, db: sqlite3.Connection, path: Path) -> bool:
        query = "SELECT image_id FROM submissions WHERE claim = ?"
        row = db.execute(query, (path.name,)).fetchone()
        known = records.find(db, row[0]) if row else None
        if known is None or is_seen(known.path):
            return False
        records.set_path(db, known.image_id, path)
        if known.state in DONE_WITH:
            self._submit_ourselves(db, known.image_id)
        return True

    def _submit_ourselves(self, db: sqlite3.Connection, image_id: str) -> None:
        """Have a concluded image examined again, as one that comes now."""
        move(db, image_id, Move.RENEW)
        now = time.time()
        db.execute("UPDATE images SET received_at = ? WHERE image_id = ?", (now, image_id))
        db.execute(
            "INSERT INTO submissions (image_id, source, received_at, "
            "settled) VALUES (?, 'retry', ?, 1)",
            (image_id, now),
        )
        self._arrivals.note(image_id, uptime_s())


def _path(db: sqlite3.Connection, image_id: str) -> Path:
    return Path(
        os.fsdecode(
            db.execute("SELECT path FROM images WHERE image_id = ?", (image_id,)).fetchone()[0]
        )
    )
