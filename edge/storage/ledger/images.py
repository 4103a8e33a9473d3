"""Images on their way: waiting, in work, concluded, archived."""

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from edge.domain import Numbering
from edge.storage.ledger import records
from edge.storage.ledger.arrivals import Arrivals
from edge.storage.ledger.database import Database
from edge.storage.ledger.exams import Exams
from edge.storage.ledger.records import COLUMNS, Conclusion, Image, ledger_id, next_seq
from edge.storage.ledger.results import Results
from edge.storage.ledger.states import Move, State, move
from edge.system.threads import note_failure


class Images:
    """The images of a ledger and what becomes of them."""

    def __init__(
        self, database: Database, results: Results, exams: Exams, arrivals: Arrivals
    ) -> None:
        self._database = database
        self._results = results
        self._exams = exams
        self._arrivals = arrivals

    def in_state(self, state: State, limit: int = -1) -> list[Image]:
        """List the images in one state, oldest first, at most `limit`; -1 for all."""
        query = f"SELECT {COLUMNS} FROM images WHERE state = ? ORDER BY received_at LIMIT ?"
        with self._database.reading() as db:
            return [records.image(row) for row in db.execute(query, (state, limit))]

    def find(self, image_id: str) -> Image | None:
        """Find one image; None if it is not known."""
        with self._database.reading() as db:
            return records.find(db, image_id)

    def path_of(self, image_id: str) -> Path | None:
        """Find an image's file; None if the image is not known."""
        image = self.find(image_id)
        return image.path if image is not None else None

    def move(self, image_id: str, what: Move) -> None:
        """
        Move one image by DISPATCH, RELEASE or BLAME, which counts an attempt.

        An image that ends the whole machine is counted from the second time on.
        """
        with self._database.transaction(
            synced=what is Move.BLAME or (what is Move.DISPATCH and self._database.left_open)
        ) as db:
            move(db, image_id, what)
            if what is Move.BLAME:
                db.execute(
                    "UPDATE images SET attempts = attempts + 1 WHERE image_id = ?", (image_id,)
                )
            if what is Move.RELEASE:
                db.execute("UPDATE images SET interrupted = 0 WHERE image_id = ?", (image_id,))

    def recover(self) -> int:
        """
        Let images wait again that were examining when the last daemon ended; returns how many.
        """
        with self._database.transaction() as db:
            changed = db.execute(
                "UPDATE images SET state = 'received', interrupted = "
                "interrupted + 1 WHERE state = 'examining'"
            )
            return changed.rowcount

    def conclude(self, conclusion: Conclusion) -> bytes:
        """
        Record an outcome, answer every waiting submission, and fill the outbox.

        Returns:
            The outcome's first payload.
        """
        came = self._arrivals.of(conclusion.image_id)
        with self._database.transaction() as db:
            payload, news = self.conclude_within(db, conclusion)
        self._arrivals.drop(conclusion.image_id, came)  # not before, as recording may fail
        self._exams.tell(news)
        return payload

    def conclude_within(
        self, db: sqlite3.Connection, conclusion: Conclusion
    ) -> tuple[bytes, Sequence[str]]:
        """See `conclude`; inside the caller's transaction, after which the exams are told."""
        image_id = conclusion.image_id
        move(db, image_id, Move.CONCLUDE)
        settled = "attempts = 0, interrupted = 0, not_before = 0, result_id = ?"
        db.execute(
            f"UPDATE images SET {settled} WHERE image_id = ?", (conclusion.result_id, image_id)
        )
        waiting = db.execute(
            "SELECT id, source, received_at FROM submissions WHERE "
            "image_id = ? AND seq IS NULL ORDER BY id",
            (image_id,),
        )
        submissions = waiting.fetchall()
        payload = records.payload_of(db, conclusion.result_id)
        if payload is None:  # else an earlier bundle was activated again: its answer stands
            first, *submissions = submissions
            numbering = Numbering(
                next_seq(db),
                ledger_id(db),
                first[1],
                first[2],
                supersedes=records.last_result(db, image_id),
            )
            payload = conclusion.render(numbering)
            db.execute(
                "INSERT INTO outcomes SELECT ?, image_id, ?, generation, "
                "?, ? FROM images WHERE image_id = ?",
                (
                    conclusion.result_id,
                    conclusion.bundle_id,
                    conclusion.scored,
                    numbering.seq,
                    image_id,
                ),
            )
            self._results.record(db, numbering.seq, conclusion.result_id, first[0], payload)
        if conclusion.score is not None:
            records.note_score(db, conclusion.score)
        for submission, *_ in submissions:
            _repeat(self._results, db, conclusion.result_id, submission)
        return payload, self._exams.enter(db, image_id, conclusion.bundle_id, conclusion.exam)

    def postpone(self, image_id: str, until: float) -> bool:
        """
        Let an image whose writer may not have finished wait once, until a Unix time.

        Returns:
            False if it waited before, was answered before, or its writer is known to have finished.
        """
        with self._database.transaction() as db:
            of_it = "SELECT 1 FROM submissions WHERE image_id = ?1"
            unsettled = db.execute(
                "SELECT 1 FROM images WHERE image_id = ?1 AND not_before = 0"
                f" AND EXISTS ({of_it} AND settled = 0) AND NOT EXISTS "
                f"({of_it} AND (settled = 1 OR seq IS NOT NULL))",
                (image_id,),
            ).fetchone()
            if unsettled is None:
                return False
            move(db, image_id, Move.RELEASE)
            db.execute("UPDATE images SET not_before = ? WHERE image_id = ?", (until, image_id))
            return True

    def wait_again(self, image_id: str, until: float) -> None:
        """Let an image that is in work wait, until a Unix time, since its file was changed."""
        with self._database.transaction() as db:
            move(db, image_id, Move.RELEASE)
            db.execute("UPDATE images SET not_before = ? WHERE image_id = ?", (until, image_id))

    def unsettled_since(self, since: float) -> list[tuple[Image, float]]:
        """
        List images archived after a Unix time whose sender may not have finished.

        Returns:
            Each with the Unix time at which it was archived.
        """
        of_it = "SELECT 1 FROM submissions WHERE submissions.image_id = images.image_id"
        query = (
            f"SELECT archived_at, {COLUMNS} FROM images WHERE state = 'archived' AND kept = 1 "
            f"AND archived_at > ? AND NOT EXISTS ({of_it} AND settled = 1)"
        )
        with self._database.reading() as db:
            return [(records.image(row[1:]), row[0]) for row in db.execute(query, (since,))]

    def relocate(self, image_id: str, path: Path) -> None:
        """Note that the image's bytes were found somewhere else."""
        with self._database.transaction(synced=False) as db:
            records.set_path(db, image_id, path)

    def archived(self, image_id: str, path: Path) -> Path:
        """
        Note that the image's file now lies at `path`, even if it is to be examined again.

        Returns:
            The place in the ledger until now, which is another one if the same bytes came again.
        """
        with self._database.transaction(synced=False) as db:  # archiving may be repeated
            before = records.find(db, image_id)
            records.set_path(db, image_id, path)
            db.execute(
                "UPDATE images SET kept = 1, archived_at = ? WHERE image_id = ?",
                (time.time(), image_id),
            )
            if before is not None and before.state is State.CONCLUDED:
                move(db, image_id, Move.ARCHIVE)
            return before.path if before is not None else path

    def conclusion_of(self, image_id: str) -> tuple[bool, bytes]:
        """Return True if a concluded image's standing outcome is a score, and its first payload."""
        query = (
            "SELECT scored, payload FROM images JOIN outcomes USING (result_id) "
            "JOIN results USING (seq) WHERE images.image_id = ?"
        )
        with self._database.reading() as db:
            scored, payload = db.execute(query, (image_id,)).fetchone()
        return bool(scored), payload


def _repeat(results: Results, db: sqlite3.Connection, result_id: str, number: int) -> None:
    """Answer one more submission; one that cannot be answered takes no other with it."""
    db.execute("SAVEPOINT repetition")
    try:
        results.repeat(db, result_id, number)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with this one
        db.execute("ROLLBACK TO repetition")
        db.execute("UPDATE submissions SET seq = 0 WHERE id = ?", (number,))
        note_failure("submission_given_up", error)
    db.execute("RELEASE repetition")
