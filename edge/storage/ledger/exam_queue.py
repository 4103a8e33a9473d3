"""
Exams that wait for further images, and questions about exams.

The wait is measured by how long the machine has run, never by its date; a machine that was started
again begins to wait anew.
"""

from collections.abc import Callable
from typing import Final

from edge.storage.ledger import exam_rows
from edge.storage.ledger.database import Database
from edge.storage.ledger.exam_rows import Exam
from edge.storage.ledger.exams import Exams
from edge.storage.ledger.queries import OF_EXAMS
from edge.system.uptime import boot_id, uptime_s

NAMES: Final = (
    ("exams", "exam_id"),
    ("exams JOIN exam_results USING (exam)", "exam_results.result_id"),
    ("exam_scores", "exam_id"),
    ("exam_scores", "result_id"),
    ("exam_verdicts", "exam_id"),
    ("exam_verdicts", "result_id"),
)
"""Tables and columns with ids of exams and their revisions; scores and verdicts outlive them."""


class ExamQueue:
    """
    The waiting exams of a ledger.

    Args:
        database: of the ledger.
        exams: publish what is due.
    """

    def __init__(self, database: Database, exams: Exams) -> None:
        self._database = database
        self._exams = exams

    def on_news(self, told: Callable[[str], None]) -> None:
        """Have a function called with what is to be counted, once it is on the disk."""
        self._exams.told = told

    def publish_due(
        self,
        uptime: Callable[[], float] = uptime_s,
        boot: Callable[[], str] = boot_id,
        go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Publish the exams that have waited long enough for a further image.

        Args:
            uptime: seconds that the machine has run.
            boot: names this boot.
            go_on: asked before each exam; False leaves the rest to the next call.

        Raises:
            Unavailable: the disk is full or failing.
        """
        with self._database.reading() as db:
            waiting = list(exam_rows.exams(db, "first_s IS NOT NULL"))
        now, here = uptime(), boot()
        if any(one.boot != here for one in waiting):
            again = "UPDATE exams SET boot = ?1, first_s = ?2, last_s = ?2"
            with self._database.transaction(synced=False) as db:
                db.execute(f"{again} WHERE first_s IS NOT NULL AND boot != ?1", (here, now))
        for one in waiting:
            if one.boot == here and self._is_due(one, now):
                if not go_on():
                    return
                with self._database.transaction() as db:  # an image may have come meanwhile
                    still = [
                        again.exam
                        for again in exam_rows.exams(db, "exam = ?", one.exam)
                        if self._is_due(again, now)
                    ]
                    news = self._exams.look_again(db, still, due=True)
                self._exams.tell(news)

    def give_up(self) -> None:
        """Have no exam wait: none is made any more, and their images need not be kept for them."""
        with self._database.reading() as db:
            waiting = next(exam_rows.exams(db, "first_s IS NOT NULL"), None)
        if waiting:
            with self._database.transaction(synced=False) as db:
                db.execute("UPDATE exams SET first_s = NULL WHERE first_s IS NOT NULL")

    def counts(self) -> dict[str, int]:
        """Count the exams that wait for further images, and give the last number given."""
        waiting = "SELECT count(*) FROM exams WHERE first_s IS NOT NULL"
        last = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'exam_seq'"
        with self._database.reading() as db:
            return {
                "waiting": db.execute(waiting).fetchone()[0],
                "last_seq": db.execute(last).fetchone()[0],
            }

    def find(self, prefix: str) -> list[str]:
        """List the exam ids that begin so, or one of whose revisions' ids does."""
        begins = "substr({}, 1, length(?1)) = ?1"
        query = " UNION ".join(
            f"SELECT exam_id FROM {table} WHERE {begins.format(name)}" for table, name in NAMES
        )
        with self._database.reading() as db:
            return [exam_id for (exam_id,) in db.execute(query, (prefix,))]

    def images_of(self, exam_id: str) -> list[str]:
        """List the images of an exam, also if only its score or verdict knows them by now."""
        query = "SELECT image_id FROM exam_images JOIN exams USING (exam) WHERE exam_id = ?"
        with self._database.reading() as db:
            found = {image_id for (image_id,) in db.execute(query, (exam_id,))}
            for table in OF_EXAMS:
                images = f"SELECT images FROM {table} WHERE exam_id = ?"
                found |= {one for (row,) in db.execute(images, (exam_id,)) for one in row.split()}
        return sorted(found)

    def _is_due(self, exam: Exam, now: float) -> bool:
        rules = self._exams.rules
        if rules is None or exam.first_s is None:
            return False
        return now - exam.last_s >= rules.quiet_s or now - exam.first_s >= rules.latest_s
