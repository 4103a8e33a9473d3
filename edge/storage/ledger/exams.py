"""
Exams: which images belong together, and the results of all of them together.

An exam is looked at in the transaction that changes one of its images, so a kill never leaves one
that does not know of it. A look makes the exam's result anew from the results of its images. If it
says something else than the last revision, it is published as the next: at once if CC and MLO of
both breasts are there and a score is new, else after a while without a further image, which
`ExamQueue` finds out. An exam that cannot be made takes no image's result with it.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from edge.contract.exam_body import Body, Revision
from edge.storage.ledger import exam_rows
from edge.storage.ledger.exam_rows import (
    ID_DIGITS,
    NO_SCORE,
    SEVERAL_PATIENTS,
    TOO_MANY,
    Exam,
    ExamRules,
    exams_of,
)
from edge.storage.ledger.exam_sinks import TABLES
from edge.storage.ledger.records import Membership, ledger_id
from edge.storage.ledger.schema import crc32
from edge.system.threads import note_failure

COUNTED: Final[Mapping[str, str]] = {
    SEVERAL_PATIENTS: "exams_several_patients",
    TOO_MANY: "exams_too_many_images",
}
"""The counters of exams of which no result is made, by the reason."""
FAILED: Final = "exams_failed"
"""The counter of exams that could not be made."""
HEADER: Final = """
INSERT INTO exam_headers VALUES (?, ?, ?, ?) ON CONFLICT (image_id) DO UPDATE SET
    study = coalesce(excluded.study, study), instance = coalesce(excluded.instance, instance),
    patient = coalesce(excluded.patient, patient)
"""
MEMBER: Final = """
INSERT INTO exam_images VALUES (?, ?, 1) ON CONFLICT (exam, image_id) DO UPDATE SET current = 1
"""


class Exams:
    """
    The exams of a ledger, inside the caller's transaction.

    Args:
        rules: None makes no exams; what there is can still be pruned and erased.
    """

    def __init__(self, rules: ExamRules | None) -> None:
        self.rules = rules
        self.told: Callable[[str], None] = lambda _: None
        """Is called with what is to be counted, once it is on the disk."""

    def enter(
        self, db: sqlite3.Connection, image_id: str, bundle_id: str, found: Membership | None
    ) -> Sequence[str]:
        """
        Note the exam of an image that has just been concluded.

        Returns:
            What is to be told after the transaction.
        """
        if self.rules is None:
            return ()
        before = exams_of(db, image_id)
        if found is not None:
            _note_model(db, bundle_id, found)
            # A rejection that names no study may be of any file: a text, a logo.
            if found.study or exam_rows.is_scored(db, image_id):
                header = (image_id, found.study, found.instance, found.patient)
                db.execute(HEADER, header)
            self._place(db, image_id, self.rules)
        return self.look_again(db, sorted({*before, *exams_of(db, image_id)}))

    def join(self, db: sqlite3.Connection, image_id: str) -> Sequence[str]:
        """Note that an image came again that is concluded already, perhaps for another exam."""
        if self.rules is None:
            return ()
        self._place(db, image_id, self.rules)
        return self.look_again(db, exams_of(db, image_id))

    def _place(self, db: sqlite3.Connection, image_id: str, rules: ExamRules) -> None:
        """Have an image belong to its exam alone; to none if nobody has looked at its header."""
        known = "SELECT 1 FROM exam_headers WHERE image_id = ?"
        if not db.execute(known, (image_id,)).fetchone():
            return
        exam = exam_rows.belongs_to(db, image_id)
        is_member = "SELECT 1 FROM exam_images WHERE image_id = ? AND exam = ? AND current = 1"
        if exam is None or db.execute(is_member, (image_id, exam)).fetchone():
            return
        db.execute("UPDATE exam_images SET current = 0 WHERE image_id = ?", (image_id,))
        if not exam_rows.is_full(db, exam, scored=exam_rows.is_scored(db, image_id)):
            self._begin(db, exam, rules)
            db.execute(MEMBER, (exam, image_id))

    def look_again(
        self, db: sqlite3.Connection, exams: Iterable[str], *, due: bool = False
    ) -> Sequence[str]:
        """
        Look at exams; one that fails keeps neither the others nor the image's result.

        Args:
            db: in a transaction.
            exams: by their keyed hashes.
            due: publish them although views are missing.
        """
        news: list[str] = []
        for exam in exams if self.rules else ():
            db.execute("SAVEPOINT exam")
            try:
                news += self._look_at(db, exam, due=due)
            except sqlite3.Error:
                raise
            except Exception as error:  # noqa: BLE001 - films never wait for exams
                db.execute("ROLLBACK TO exam")
                db.execute("UPDATE exams SET first_s = NULL WHERE exam = ?", (exam,))
                note_failure("exam_failed", error)
                news.append(FAILED)
            db.execute("RELEASE exam")
        return news

    def tell(self, news: Iterable[str]) -> None:
        """Say what was noted, after its transaction."""
        for one in news:
            self.told(one)

    def _begin(self, db: sqlite3.Connection, exam: str, rules: ExamRules) -> None:
        # A folder's name is half as long, and nobody else knows the folder.
        public = not rules.random_ids and len(exam) == ID_DIGITS
        exam_id = exam if public else secrets.token_hex(ID_DIGITS // 2)
        new = "INSERT INTO exams (exam, exam_id) VALUES (?, ?) ON CONFLICT (exam) DO NOTHING"
        db.execute(new, (exam, exam_id))

    def _look_at(self, db: sqlite3.Connection, exam: str, *, due: bool) -> Sequence[str]:
        found = next(exam_rows.exams(db, "exam = ?", exam), None)
        if found is None or self.rules is None:
            return ()
        why_none = TOO_MANY if found.too_many else exam_rows.why_none(db, exam)
        if why_none == TOO_MANY:
            db.execute("UPDATE exams SET too_many = 1 WHERE exam = ?", (exam,))
        body = _body(db, found, self.rules, why_none)
        news = [COUNTED[why_none]] if why_none else []
        if body is None:
            contents = why_none or found.contents
            nothing = "UPDATE exams SET first_s = NULL, contents = ? WHERE exam = ?"
            db.execute(nothing, (contents, exam))
            return news if contents != found.contents else ()
        if found.contents is not None and body.digest == found.contents:
            db.execute("UPDATE exams SET first_s = NULL WHERE exam = ?", (exam,))
            return ()
        at_once = body.outcome == "rejected" or (body.complete and _has_news(db, found, body))
        if due or at_once:
            _publish(db, found, body, self.rules)
            return [f"exams_{body.outcome}", *news]
        exam_rows.wait(db, found)
        return ()


def _body(
    db: sqlite3.Connection, exam: Exam, rules: ExamRules, why_none: str | None
) -> Body | None:
    """Make the exam's result; None if there is nothing to say."""
    body = None
    if why_none is None:
        facts_of = lambda key: exam_rows.facts_of(db, key)  # noqa: E731
        body = rules.maker.body(exam_rows.images(db, exam.exam), facts_of)
    if body is None and exam.revision:
        return rules.maker.taken_back(why_none or NO_SCORE)
    return body


def _has_news(db: sqlite3.Connection, exam: Exam, body: Body) -> bool:
    """Tell if the scores are others than in the last revision, if that is there."""
    query = "SELECT payload FROM exam_results WHERE result_id = ?"
    last = db.execute(query, (exam.result_id,)).fetchone()
    return last is None or _scores(json.loads(last[0])) != _scores(body.fields)


def _scores(said: Mapping[str, Any]) -> list[tuple[object, ...]]:
    told = ("laterality", "views", "malignant", "outcome")
    return [tuple(breast[field] for field in told) for breast in said["breasts"]]


def _note_model(db: sqlite3.Connection, bundle_id: str, found: Membership) -> None:
    """Keep the facts by which the model's scores become an exam's."""
    if exam_rows.facts_of(db, (bundle_id, found.file)) is None:
        facts = (bundle_id, found.file, found.facts)
        db.execute("INSERT INTO exam_models VALUES (?, ?, ?)", facts)


def _publish(db: sqlite3.Connection, exam: Exam, body: Body, rules: ExamRules) -> None:
    number, seq = exam.revision + 1, exam_rows.next_seq(db)
    revision = Revision(exam.exam_id, number, seq, ledger_id(db), exam.result_id)
    result_id, payload = rules.maker.render(body, revision)
    db.execute(
        "INSERT INTO exam_results VALUES (?, ?, ?, ?, ?, ?)",
        (seq, exam.exam, result_id, time.time(), payload, crc32(payload)),
    )
    for sink in rules.sinks:
        db.execute(f"INSERT INTO {TABLES[sink]} (seq) VALUES (?)", (seq,))
    db.execute(
        "UPDATE exams SET revision = ?, result_id = ?, contents = ?, first_s = NULL WHERE exam = ?",
        (number, result_id, body.digest, exam.exam),
    )
    exam_rows.note_score(db, exam)
