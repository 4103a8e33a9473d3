"""Questions of the page about the one image or exam that a browser follows: news and verdict."""

import sqlite3
from dataclasses import dataclass
from typing import Final, Self

from edge.storage.ledger.verdicts import TABLES, Kind

IMAGE: Final = "SELECT image_id FROM images WHERE image_id = ?"
OF_IMAGE: Final = (
    "SELECT (SELECT result_id FROM images WHERE image_id = ?1), count(*), max(results.seq) "
    "FROM submissions JOIN results ON results.submission = submissions.id WHERE image_id = ?1"
)
OF_EXAM: Final = (
    "SELECT exams.exam, exam_results.result_id FROM exams "
    "LEFT JOIN exam_results USING (result_id) WHERE exam_id = ?"
)
IMAGES_OF: Final = "SELECT image_id FROM exam_images WHERE exam = ? ORDER BY image_id"
"""Those that left the exam, too: they stand on its page until the next revision."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An image or an exam, by its id."""

    kind: Kind
    id: str


@dataclass(frozen=True, slots=True)
class Given:
    """A verdict that was given on an image or an exam."""

    truth: str
    basis: str
    score_seen: bool
    given_at: float
    """Unix time in seconds."""

    @classmethod
    def of(cls, db: sqlite3.Connection, subject: Subject) -> Self | None:
        """Return the verdict on an image or an exam; None if there is none."""
        of = TABLES[subject.kind]
        query = f"SELECT truth, basis, score_seen, given_at FROM {of.verdicts} WHERE {of.key} = ?"
        row = db.execute(query, (subject.id,)).fetchone()
        return None if row is None else cls(row[0], row[1], bool(row[2]), row[3])


def version_of(db: sqlite3.Connection, subject: Subject) -> tuple[str, list[str]]:
    """
    Look for news of an image or an exam.

    Returns:
        A text that changes with each of its results, its verdict and its removal, and the ids of
        its images; none of what the ledger does not have.
    """
    given = str(Given.of(db, subject))
    if subject.kind == "image":
        exam = exam_of(db, subject.id)
        images = [image_id for (image_id,) in db.execute(IMAGE, (subject.id,)).fetchall()]
        return f"{_version_of_image(db, subject.id)} {given} {exam}", images
    exam, result_id = db.execute(OF_EXAM, (subject.id,)).fetchone() or (None, None)
    images = [image_id for (image_id,) in db.execute(IMAGES_OF, (exam,)).fetchall()]
    return " ".join(
        [str(result_id), given, *(_version_of_image(db, one) for one in images)]
    ), images


def exam_of(db: sqlite3.Connection, image_id: str) -> str | None:
    """Return the id of the exam that an image belongs to, if the ledger has a result of it."""
    query = (
        "SELECT exam_id FROM exam_images JOIN exams ON exams.exam = exam_images.exam "
        "JOIN exam_results ON exam_results.result_id = exams.result_id "
        "WHERE image_id = ? AND current = 1"
    )
    row = db.execute(query, (image_id,)).fetchone()
    return None if row is None else str(row[0])


def standing_of(db: sqlite3.Connection, image_id: str) -> str | None:
    """Return the id of the result of an image that stands; None while there is none."""
    query = (
        "SELECT result_id FROM images WHERE image_id = ? AND EXISTS "
        "(SELECT 1 FROM results WHERE results.result_id = images.result_id)"
    )
    row = db.execute(query, (image_id,)).fetchone()
    return None if row is None else str(row[0])


def _version_of_image(db: sqlite3.Connection, image_id: str) -> str:
    return " ".join(str(part) for part in db.execute(OF_IMAGE, (image_id,)).fetchone())
