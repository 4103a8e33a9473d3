"""Rows of exams, how they are read and written, and what makes an exam's result of them."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from edge.contract.exam_body import Body, Revision
from edge.storage.ledger.exam_sinks import EXAM
from edge.storage.ledger.exam_verdict_tables import FROM_EXAM_RESULTS
from edge.system.uptime import boot_id, uptime_s

Key: TypeAlias = tuple[str, str]
"""A bundle's id and a model file in it."""
FactsOf: TypeAlias = Callable[[Key], str | None]
"""Finds a file's entry in the manifest, as JSON; None if its scores make no exams."""
Named: TypeAlias = tuple[bytes, str | None]
"""The standing result of an image, and the keyed hash of its SOP Instance UID."""
ID_DIGITS: Final = 64
MOST_IMAGES: Final = 64
"""The most images of an exam: a look at it has to be short, for an image's result waits for it."""
SEVERAL_PATIENTS: Final = "several patients"
TOO_MANY: Final = "too many images"
NO_SCORE: Final = "no score"
ARRIVED: Final = """
(SELECT max(id) FROM submissions WHERE submissions.image_id = exam_images.image_id
    AND source != 'retry'), exam_images.image_id
"""
"""The order of arrival; an image that came again counts as the last."""
OF_EXAM: Final = """
FROM exam_images JOIN images ON images.image_id = exam_images.image_id
JOIN outcomes ON outcomes.result_id = images.result_id
LEFT JOIN exam_headers ON exam_headers.image_id = exam_images.image_id
LEFT JOIN results ON results.seq = outcomes.seq
WHERE exam = ? AND current = 1"""
"""The images of an exam and their standing outcomes; 2 * MOST_IMAGES + 1 at most."""


class ExamMaker(Protocol):
    """Makes results of exams; nothing in it touches a disk."""

    def body(self, images: Sequence[Named], facts_of: FactsOf) -> Body | None:
        """Make an exam's result; None if no breast has a score."""
        ...

    def taken_back(self, reason: str) -> Body:
        """Make the result that takes earlier ones back, for SEVERAL_PATIENTS or the like."""
        ...

    def render(self, body: Body, revision: Revision) -> tuple[str, bytes]:
        """Return the id of a revision, and the message as it is published."""
        ...


@dataclass(frozen=True, slots=True)
class ExamRules:
    """The configuration as far as exams need it."""

    maker: ExamMaker
    random_ids: bool = True
    """False publishes the keyed hash, which whoever has the key can compute as well."""
    quiet_s: float = 600.0
    latest_s: float = 5400.0
    sinks: Sequence[str] = (EXAM,)
    """The sinks that get every result of an exam."""


@dataclass(frozen=True, slots=True)
class Exam:
    """One row of exams."""

    exam: str
    exam_id: str
    revision: int
    result_id: str | None
    contents: str | None
    boot: str
    first_s: float | None
    last_s: float
    too_many: bool


def exams(db: sqlite3.Connection, which: str, *values: object) -> Iterator[Exam]:
    """Read the exams that fulfil a condition."""
    columns = "exam, exam_id, revision, result_id, contents, boot, first_s, last_s, too_many"
    rows = db.execute(f"SELECT {columns} FROM exams WHERE {which}", values).fetchall()
    return (Exam(*row) for row in rows)


def exams_of(db: sqlite3.Connection, image_id: str) -> list[str]:
    """List the exams that have an image, or had it."""
    query = "SELECT exam FROM exam_images WHERE image_id = ? ORDER BY exam"
    return [exam for (exam,) in db.execute(query, (image_id,)).fetchall()]


def belongs_to(db: sqlite3.Connection, image_id: str) -> str | None:
    """
    Say which exam an image belongs to, which has been looked at.

    That of its study, else that of the first reference of a sender, else that of the first folder,
    whose name has half as many digits.
    """
    of_study = "SELECT study FROM exam_headers WHERE image_id = ?1"
    of_sender = (
        "SELECT exam FROM submissions WHERE image_id = ?1 AND exam IS NOT NULL "
        "ORDER BY length(exam) DESC, id LIMIT 1"
    )
    query = f"SELECT coalesce(({of_study}), ({of_sender}))"
    found: str | None = db.execute(query, (image_id,)).fetchone()[0]
    return found


def is_scored(db: sqlite3.Connection, image_id: str) -> bool:
    """Tell if the standing result of an image has a score."""
    query = "SELECT scored FROM images JOIN outcomes USING (result_id) WHERE images.image_id = ?"
    return bool((db.execute(query, (image_id,)).fetchone() or (0,))[0])


def images(db: sqlite3.Connection, exam: str) -> list[Named]:
    """List the images of an exam in their order of arrival."""
    query = f"SELECT results.payload, exam_headers.instance {OF_EXAM} ORDER BY {ARRIVED}"
    return db.execute(query, (exam,)).fetchall()


def why_none(db: sqlite3.Connection, exam: str) -> str | None:
    """
    Say why no result is made of an exam, before any of its images' results is read.

    An image without a patient's ID is nobody else's, and of one SOP Instance UID the last counts.

    Returns:
        SEVERAL_PATIENTS, TOO_MANY or None.
    """
    columns = "exam_images.image_id, instance, patient, scored"
    rows = db.execute(f"SELECT {columns} {OF_EXAM} ORDER BY {ARRIVED}", (exam,)).fetchall()
    if sum(scored for *_, scored in rows) > MOST_IMAGES:
        return TOO_MANY
    standing = {instance or image_id: patient for image_id, instance, patient, _ in rows}
    return SEVERAL_PATIENTS if len({*standing.values()} - {None}) > 1 else None


def is_full(db: sqlite3.Connection, exam: str, *, scored: bool) -> bool:
    """
    Tell if an exam takes no further image, of those with a score or of those without.

    What comes beyond belongs to none, so that an exam without end keeps nothing from being pruned.
    One image with a score more than an exam has is taken, which ends the exam for good.
    """
    if db.execute("SELECT 1 FROM exams WHERE exam = ? AND too_many", (exam,)).fetchone():
        return True
    query = f"SELECT count(*) FROM (SELECT 1 {OF_EXAM} AND scored = ? LIMIT {MOST_IMAGES + 1})"
    return bool(db.execute(query, (exam, scored)).fetchone()[0] >= MOST_IMAGES + scored)


def facts_of(db: sqlite3.Connection, key: Key) -> str | None:
    """Find a model file's entry in its manifest."""
    query = "SELECT facts FROM exam_models WHERE bundle_id = ? AND file = ?"
    row = db.execute(query, key).fetchone()
    return str(row[0]) if row else None


def next_seq(db: sqlite3.Connection) -> int:
    """Give the next number of an exam's result, in the caller's transaction."""
    row = db.execute(
        "UPDATE meta SET value = value + 1 WHERE key = 'exam_seq' RETURNING CAST(value AS INTEGER)"
    ).fetchone()
    return int(row[0])


def wait(db: sqlite3.Connection, exam: Exam) -> None:
    """Note that an exam waits for further images, from now on."""
    here, now = boot_id(), uptime_s()
    first = exam.first_s if exam.first_s is not None and exam.boot == here else now
    db.execute(
        "UPDATE exams SET boot = ?, first_s = ?, last_s = ? WHERE exam = ?",
        (here, first, now, exam.exam),
    )


def note_score(db: sqlite3.Connection, exam: Exam) -> None:
    """Note the score of an exam's last revision, once that is recorded; the one before it goes."""
    db.execute("DELETE FROM exam_scores WHERE exam_id = ?", (exam.exam_id,))
    db.execute(f"{FROM_EXAM_RESULTS} AND exams.exam = ?", (exam.exam,))
