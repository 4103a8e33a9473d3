"""
Erasure: everything that a ledger knows of some images goes, down to the bytes of its pages.

SQLite overwrites what is deleted (`PRAGMA secure_delete`), in its own pages; the write-ahead log
still has the pages as they were, so it is written back and cut to nothing.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.storage.ledger import records
from edge.storage.ledger.database import Database
from edge.storage.ledger.exam_rows import exams_of
from edge.storage.ledger.exam_sinks import TABLES
from edge.storage.ledger.exams import Exams
from edge.storage.ledger.records import Image
from edge.storage.ledger.states import State
from edge.storage.pictures import Pictures

EMPTY: Final = "NOT EXISTS (SELECT 1 FROM exam_images WHERE exam_images.exam = exams.exam)"
"""Condition that an exam has no image any more."""
OF_EXAMS: Final = "exam IN (SELECT exam FROM exam_images WHERE image_id = ?)"
HAS_IMAGE: Final = "instr(images, ?1)"
OF_SCORED_EXAMS: Final = (
    f"{HAS_IMAGE} OR exam_id IN (SELECT exam_id FROM exam_scores WHERE {HAS_IMAGE}) OR exam_id IN "
    "(SELECT exam_id FROM exams JOIN exam_images USING (exam) WHERE exam_images.image_id = ?1)"
)
"""Condition of a score or verdict that its exam has the image, or had it."""
OF_IMAGE: Final = "SELECT id FROM submissions WHERE image_id = ?"
STEPS: Final = (
    f"DELETE FROM exam_verdicts WHERE {OF_SCORED_EXAMS}",
    f"DELETE FROM exam_scores WHERE {OF_SCORED_EXAMS}",
    *(
        f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM exam_results WHERE {OF_EXAMS})"
        for table in TABLES.values()
    ),
    f"DELETE FROM exam_results WHERE {OF_EXAMS}",
    "DELETE FROM exam_images WHERE image_id = ?",
    "DELETE FROM exam_headers WHERE image_id = ?",
    f"DELETE FROM outbox WHERE seq IN (SELECT seq FROM results WHERE submission IN ({OF_IMAGE}))",
    f"DELETE FROM results WHERE submission IN ({OF_IMAGE})",
    "DELETE FROM outcomes WHERE image_id = ?",
    "DELETE FROM origins WHERE claim IN (SELECT claim FROM submissions WHERE image_id = ?)",
    "DELETE FROM submissions WHERE image_id = ?",
    "DELETE FROM images WHERE image_id = ?",
    "DELETE FROM scores WHERE image_id = ?",
    "DELETE FROM verdicts WHERE image_id = ?",
    "DELETE FROM waiting_references WHERE instr(CAST(request AS TEXT), ?)",
)
"""The rows that go, those that refer to others first; each step takes the image's id."""


class Erasure:
    """The part of a ledger that erases images."""

    def __init__(self, database: Database, exams: Exams, pictures: Pictures) -> None:
        self._database = database
        self._exams = exams
        self._pictures = pictures

    def erase(self, image_ids: list[str], remove: Callable[[Path], None]) -> int:
        """
        Erase images, their results, scores and verdicts, and what is still to be delivered.

        Their files, and what was drawn of them, go in the same transaction, so that nobody takes
        the same bytes in meanwhile. All results, scores and verdicts of their exams go too, as each
        may name them; what is left of an exam is published as a further revision.

        Args:
            image_ids: of the images.
            remove: removes an image's file; called for each image that is known.

        Returns:
            The number of the images' results; 0 also if none is known.

        Raises:
            ConfigError: an image is still to be examined, or to be archived.
            Unavailable: the disk is full or failing; nothing was changed.
            OSError: from `remove`, or a picture cannot be removed; no row was changed.
        """
        with self._pictures.lock, self._database.transaction() as db:
            for image in _archived(db, image_ids):
                remove(image.path)
            for one in image_ids:
                self._pictures.remove(one)
            exams = {exam for one in image_ids for exam in exams_of(db, one)}
            results = sum(_erase(db, one) for one in image_ids)
            which = [(exam,) for exam in exams]
            db.executemany(f"DELETE FROM exams WHERE exam = ? AND {EMPTY}", which)
            # What is left is published again, also if it says what an erased revision said.
            db.executemany("UPDATE exams SET contents = NULL WHERE exam = ?", which)
            news = self._exams.look_again(db, sorted(exams))
        self._exams.tell(news)
        return results

    def files(self, image_ids: list[str]) -> list[Path]:
        """
        List the files of images that retention has not removed.

        Raises:
            ConfigError: an image is still to be examined, or to be archived.
            Unavailable: the ledger cannot be read.
        """
        with self._database.reading() as db:
            return [one.path for one in _archived(db, image_ids) if _is_kept(db, one)]

    def scrub(self) -> None:
        """
        Leave nothing of erased rows in the write-ahead log.

        Raises:
            Unavailable: somebody reads the ledger; to be tried again.
        """
        self._database.cut_log()


def _archived(db: sqlite3.Connection, image_ids: list[str]) -> list[Image]:
    found = [image for one in image_ids if (image := records.find(db, one))]
    for image in found:
        if image.state is not State.ARCHIVED:
            msg = (
                f"{image.image_id[:16]}: it is {image.state}, expected archived: "
                "try again after that"
            )
            raise ConfigError(msg)
    return found


def _is_kept(db: sqlite3.Connection, image: Image) -> bool:
    query = "SELECT kept FROM images WHERE image_id = ?"
    return bool(db.execute(query, (image.image_id,)).fetchone()[0])


def _erase(db: sqlite3.Connection, image_id: str) -> int:
    of_it = f"SELECT count(*) FROM results WHERE submission IN ({OF_IMAGE})"
    results = int(db.execute(of_it, (image_id,)).fetchone()[0])
    for step in STEPS:
        db.execute(step, (image_id,))
    return results
