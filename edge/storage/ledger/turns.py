"""The order in which images that wait are examined."""

import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from edge.storage.ledger import records
from edge.storage.ledger.database import Database
from edge.storage.ledger.records import COLUMNS, Image

FAR_OFF_S: Final = 600
"""Seconds that no image waits on purpose: the clock was set back."""
WAITS: Final = f"state = 'received' AND NOT not_before BETWEEN ?1 AND ?1 + {FAR_OFF_S}"
"""Of `images`: waits at this Unix time."""


class Turns:
    """
    Finds the image whose turn it is.

    Args:
        database: of the ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def next_waiting(self, but: Iterable[str] = (), outside: Iterable[Path] = ()) -> Image | None:
        """
        Find the image to examine next: those that were interrupted go behind the others.

        Args:
            but: images that are passed over, however many.
            outside: folders in which its file must not lie.
        """
        places = _begins(outside)
        query = (
            f"SELECT {COLUMNS} FROM images WHERE {WAITS} AND image_id NOT IN "
            f"(SELECT value FROM json_each(?2)){_outside(places)} "
            "ORDER BY interrupted, received_at LIMIT 1"
        )
        return self._first(query, but, places)

    def first_waiting(self, among: Iterable[str], outside: Iterable[Path] = ()) -> Image | None:
        """
        Find the first of some images that waits.

        Args:
            among: the images, in the order of their turns.
            outside: folders in which its file must not lie.
        """
        places = _begins(outside)
        query = (
            f"SELECT {COLUMNS} FROM (SELECT key AS turn, value AS wanted FROM json_each(?2)) "
            f"CROSS JOIN images ON image_id = wanted WHERE {WAITS}{_outside(places)} "
            "ORDER BY turn LIMIT 1"
        )
        return self._first(query, among, places)

    def _first(self, query: str, image_ids: Iterable[str], places: Sequence[bytes]) -> Image | None:
        # As JSON, since SQLite takes so many parameters and no more; folders are few.
        given = (time.time(), json.dumps(list(image_ids)), *places)
        with self._database.reading() as db:
            row = db.execute(query, given).fetchone()
        return records.image(row) if row else None

    def unfinished(self, image_ids: Iterable[str]) -> set[str]:
        """Return those of some images that wait for an outcome."""
        query = (
            "SELECT image_id FROM images WHERE state IN ('received', 'examining') "
            "AND image_id IN (SELECT value FROM json_each(?))"
        )
        with self._database.reading() as db:
            found = db.execute(query, (json.dumps(list(image_ids)),))
            return {image_id for (image_id,) in found}


def _begins(folders: Iterable[Path]) -> list[bytes]:
    """Return how the paths of files in some folders begin."""
    return [os.fsencode(folder) + b"/" for folder in folders]


def _outside(places: Sequence[bytes]) -> str:
    """Return the condition that a file lies in none of these folders; below one, it may."""
    return "".join(
        f" AND NOT (substr(path, 1, length(?{number})) = ?{number} "
        f"AND instr(substr(path, length(?{number}) + 1), x'2F') = 0)"
        for number, _ in enumerate(places, 3)
    )
