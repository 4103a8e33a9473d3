"""
Erasure: everything that a ledger knows of one image goes, down to the bytes of its pages.

SQLite overwrites what is deleted (`PRAGMA secure_delete`), in its own pages; the write-ahead log
still has the pages as they were, so it is written back and cut to nothing.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.errors import ConfigError
from edge.storage.ledger import records
from edge.storage.ledger.database import Database
from edge.storage.ledger.states import State

OF_IMAGE: Final = "SELECT id FROM submissions WHERE image_id = ?"
STEPS: Final = (
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
    """The part of a ledger that erases one image."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def erase(self, image_id: str, remove: Callable[[Path], None]) -> int:
        """
        Erase an image, its results, scores and verdict, and what is still to be delivered.

        Its file goes in the same transaction, so that nobody takes the same bytes in meanwhile.

        Args:
            image_id: of the image.
            remove: removes the image's file; called if the image is known.

        Returns:
            The number of results; 0 also if the image is not known.

        Raises:
            ConfigError: the image is still to be examined, or to be archived.
            Unavailable: the disk is full or failing; nothing was changed.
            OSError: from `remove`; nothing was changed.
        """
        with self._database.transaction() as db:
            image = records.find(db, image_id)
            if image is not None and image.state is not State.ARCHIVED:
                msg = (
                    f"{image_id[:16]}: it is {image.state}, expected archived: try again after that"
                )
                raise ConfigError(msg)
            if image is not None:
                remove(image.path)
            of_it = f"SELECT count(*) FROM results WHERE submission IN ({OF_IMAGE})"
            results = int(db.execute(of_it, (image_id,)).fetchone()[0])
            for step in STEPS:
                db.execute(step, (image_id,))
            return results

    def scrub(self) -> None:
        """
        Leave nothing of erased rows in the write-ahead log.

        Raises:
            Unavailable: somebody reads the ledger; to be tried again.
        """
        self._database.cut_log()
