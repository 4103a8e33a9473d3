"""Pruning: files and results of images that are archived and wholly delivered, oldest first."""

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from edge.storage.ledger import records
from edge.storage.ledger.database import Database
from edge.storage.ledger.exam_rows import exams_of
from edge.storage.ledger.exam_sinks import TABLES
from edge.storage.ledger.may_go import MayGo
from edge.storage.ledger.states import State
from edge.storage.pictures import Pictures


class Place(NamedTuple):
    """The place of an image in the order of their age."""

    archived_at: float
    row: int
    """Tells those apart that were archived at the same time."""
    image_id: str


FIRST: Final = Place(-math.inf, 0, "")
"""The place before all images."""
BY_AGE: Final = "SELECT archived_at, rowid, image_id FROM images INDEXED BY images_by_archive WHERE"
"""Begins a query that reads the oldest first; left to itself, SQLite sorts all for each page."""
SCORED: Final = "(SELECT scored FROM outcomes WHERE outcomes.result_id = images.result_id)"


class Pruning:
    """
    The part of a ledger that forgets.

    Args:
        database: of the ledger.
        pictures: go with the files of their images.
        may_go: the conditions, by what is configured.
    """

    def __init__(self, database: Database, pictures: Pictures, may_go: MayGo) -> None:
        self._database = database
        self._pictures = pictures
        self._settled, self._old = may_go.settled, may_go.old
        self._of_exams = may_go.of_exams

    def files(
        self, *, scored: bool, before: float, limit: int, after: Place = FIRST
    ) -> list[Place]:
        """
        List images whose files may go, in done (`scored`) or failed, the oldest first.

        Args:
            scored: true for done, false for failed.
            before: archived before this Unix time.
            limit: at most so many.
            after: only those behind this one.
        """
        query = (
            f"{BY_AGE} {self._settled} AND kept = 1 AND {SCORED} = ? AND archived_at < ? "
            "AND (archived_at, rowid) > (?, ?) ORDER BY archived_at, rowid LIMIT ?"
        )
        with self._database.reading() as db:
            which = (scored, before, after.archived_at, after.row, limit)
            return [Place(*row) for row in db.execute(query, which)]

    def kept(self) -> set[str]:
        """Return the ids of the images whose files are in the archive."""
        with self._database.reading() as db:
            return {one for (one,) in db.execute("SELECT image_id FROM images WHERE kept = 1")}

    def has_file(self, image_id: str) -> bool:
        """Tell if an image's file should be in the archive."""
        query = "SELECT 1 FROM images WHERE image_id = ? AND kept = 1"
        with self._database.reading() as db:
            return db.execute(query, (image_id,)).fetchone() is not None

    def is_kept(self, image_id: str, result_id: str) -> bool:
        """Tell if an image's file is in the archive, and this is its newest result."""
        query = "SELECT 1 FROM images WHERE image_id = ? AND result_id = ? AND kept = 1"
        with self._database.reading() as db:
            return db.execute(query, (image_id, result_id)).fetchone() is not None

    def awaits_archive(self, image_id: str, result_id: str) -> bool:
        """Tell if an image with this newest result is still to be archived."""
        query = "SELECT 1 FROM images WHERE image_id = ? AND result_id = ? AND state = ?"
        with self._database.reading() as db:
            row = db.execute(query, (image_id, result_id, State.CONCLUDED)).fetchone()
            return row is not None

    def remove_file(self, image_id: str, remove: Callable[[Path], None]) -> bool:
        """
        Remove an image's file, and its pictures, if it still may go.

        Nothing else happens to the image meanwhile.

        Args:
            image_id: from `files`.
            remove: removes a file, or finds it gone.

        Raises:
            OSError: from `remove`, and nothing was changed; or the file is gone, as `has_file`
                tells, and a picture cannot be removed, which the next start tries again.
        """
        may_go = f"SELECT 1 FROM images WHERE image_id = ? AND {self._settled}"
        with self._pictures.lock:
            with self._database.transaction() as db:
                known = records.find(db, image_id)
                if known is None or not db.execute(may_go, (image_id,)).fetchone():
                    return False
                remove(known.path)
                db.execute("UPDATE images SET kept = 0 WHERE image_id = ?", (image_id,))
            # Last, and once that is committed: they stay if the file does, not its row with them.
            self._pictures.remove(image_id)
        return True

    def forget(self, *, before: float, limit: int) -> int:
        """
        Forget images whose files are gone and whose last result is old, whole exams at once.

        Args:
            before: a Unix time before which the last result was completed.
            limit: images at most, and those of their exams.

        Returns:
            The number of results that went.
        """
        may_go = f"{self._old} AND {self._of_exams}"
        oldest = f"{BY_AGE} {may_go} AND (archived_at, rowid) > (?2, ?3) ORDER BY 1, 2 LIMIT ?4"
        one = f"SELECT 1 FROM images WHERE {may_go} AND image_id = ?2"
        gone, images, place = 0, 0, FIRST
        with self._database.transaction() as db:
            while images < limit:
                which = (before, place.archived_at, place.row, limit)
                found = [Place(*row) for row in db.execute(oldest, which)]
                if not found:
                    break
                for place in found:
                    group = _together(db, place.image_id)
                    if all(db.execute(one, (before, each)).fetchone() for each in group):
                        gone, images = gone + _forget(db, group), images + len(group)
                    if images >= limit:
                        break
        return gone

    def forget_scores(self, *, before: float, limit: int) -> int:
        """
        Forget scores of images and exams that are not here any more; verdicts stay.

        Args:
            before: a Unix time before which they were given.
            limit: scores of images at most, and of exams, the oldest first.

        Returns:
            The number that went.
        """
        kinds = (("scores", "image_id", "images"), ("exam_scores", "exam_id", "exams"))
        with self._database.transaction() as db:
            return sum(
                db.execute(
                    f"DELETE FROM {scores} WHERE {key} IN (SELECT {key} FROM {scores} AS old "
                    "WHERE completed_at < ? AND NOT EXISTS "
                    f"(SELECT 1 FROM {living} WHERE {living}.{key} = old.{key}) "
                    "ORDER BY completed_at LIMIT ?)",
                    (before, limit),
                ).rowcount
                for scores, key, living in kinds
            )


def _together(db: sqlite3.Connection, image_id: str) -> set[str]:
    """Find the images that share an exam with one, or with one that does."""
    mates = (
        "SELECT theirs.image_id FROM exam_images AS mine JOIN exam_images AS theirs "
        "USING (exam) WHERE mine.image_id = ?"
    )
    group, new = {image_id}, {image_id}
    while new:
        found = {mate for one in new for (mate,) in db.execute(mates, (one,))}
        new = found - group
        group |= found
    return group


def _forget(db: sqlite3.Connection, group: set[str]) -> int:
    """Forget images and all their exams; returns the number of results of both that went."""
    exams = {(exam,) for one in group for exam in exams_of(db, one)}
    gone = 0
    for image_id in group:
        of_it = "submission IN (SELECT id FROM submissions WHERE image_id = ?)"
        # Of sinks that nobody serves: nothing else waits.
        waits = f"DELETE FROM outbox WHERE seq IN (SELECT seq FROM results WHERE {of_it})"
        db.execute(waits, (image_id,))
        gone += db.execute(f"DELETE FROM results WHERE {of_it}", (image_id,)).rowcount
        for table in ("outcomes", "submissions", "exam_images", "exam_headers", "images"):
            db.execute(f"DELETE FROM {table} WHERE image_id = ?", (image_id,))
    for exam in exams:
        for table in TABLES.values():
            of_it = "seq IN (SELECT seq FROM exam_results WHERE exam = ?)"
            db.execute(f"DELETE FROM {table} WHERE {of_it}", exam)
        gone += db.execute("DELETE FROM exam_results WHERE exam = ?", exam).rowcount
        db.execute("DELETE FROM exams WHERE exam = ?", exam)
    return gone
