"""Pruning: files and results of images that are archived and wholly delivered, oldest first."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.storage.ledger import records
from edge.storage.ledger.database import Database
from edge.storage.ledger.records import COLUMNS, Image

SETTLED: Final = """state = 'archived' AND NOT EXISTS (
    SELECT 1 FROM submissions LEFT JOIN outbox USING (seq)
    WHERE submissions.image_id = images.image_id
        AND (submissions.seq IS NULL OR outbox.seq IS NOT NULL))"""
"""Condition that nothing of the image waits for a worker, the archive or a sink."""
SCORED: Final = "(SELECT scored FROM outcomes WHERE outcomes.result_id = images.result_id)"


class Pruning:
    """The part of a ledger that forgets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def files(self, *, scored: bool, before: float, limit: int) -> list[Image]:
        """
        List images whose files may go, in done (`scored`) or failed, the oldest first.

        Args:
            scored: true for done, false for failed.
            before: archived before this Unix time.
            limit: at most so many.
        """
        query = (
            f"SELECT {COLUMNS} FROM images WHERE {SETTLED} AND kept = 1 AND {SCORED} = "
            "? AND archived_at < ? ORDER BY archived_at LIMIT ?"
        )
        with self._database.reading() as db:
            return [records.image(row) for row in db.execute(query, (scored, before, limit))]

    def remove_file(self, image_id: str, remove: Callable[[Path], None]) -> bool:
        """
        Remove an image's file, if it still may go, while nothing else happens to the image.

        Args:
            image_id: from `files`.
            remove: removes a file, or finds it gone.
        """
        with self._database.transaction() as db:
            known = records.find(db, image_id)
            if (
                known is None
                or not db.execute(
                    f"SELECT 1 FROM images WHERE image_id = ? AND {SETTLED}", (image_id,)
                ).fetchone()
            ):
                return False
            remove(known.path)
            db.execute("UPDATE images SET kept = 0 WHERE image_id = ?", (image_id,))
            return True

    def forget(self, *, before: float, limit: int) -> int:
        """
        Forget images whose files are gone and whose last result is old.

        Args:
            before: a Unix time before which the last result was completed.
            limit: images at most.

        Returns:
            The number of results that went.
        """
        newest = (
            "SELECT max(completed_at) FROM results JOIN submissions ON submissions.id = submission"
        )
        query = f"SELECT image_id FROM images WHERE {SETTLED} AND kept = 0 AND archived_at < ?1"
        with self._database.transaction() as db:
            of_old = (
                f"{query} AND ({newest} WHERE submissions.image_id = "
                "images.image_id) < ?1 ORDER BY archived_at LIMIT ?2"
            )
            forgotten = db.execute(of_old, (before, limit)).fetchall()
            gone = 0
            for image_id in forgotten:
                of_it = "submission IN (SELECT id FROM submissions WHERE image_id = ?)"
                gone += db.execute(f"DELETE FROM results WHERE {of_it}", image_id).rowcount
                for table in ("outcomes", "submissions", "images"):
                    db.execute(f"DELETE FROM {table} WHERE image_id = ?", image_id)
            return gone

    def forget_scores(self, *, before: float, limit: int) -> int:
        """
        Forget scores that no verdict can be given for any more; verdicts stay.

        Args:
            before: a Unix time before which they were given.
            limit: scores at most, the oldest first.

        Returns:
            The number that went.
        """
        known = "SELECT 1 FROM images WHERE images.image_id = scores.image_id"
        old = (
            f"SELECT image_id FROM scores WHERE completed_at < ? AND NOT EXISTS ({known}) "
            "ORDER BY completed_at LIMIT ?"
        )
        with self._database.transaction() as db:
            query = f"DELETE FROM scores WHERE image_id IN ({old})"
            return db.execute(query, (before, limit)).rowcount
