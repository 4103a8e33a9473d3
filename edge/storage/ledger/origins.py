"""Origins: files of the inbox that were copied into the spool and are still to be removed there."""

import os
from pathlib import Path
from typing import Final, TypeAlias

from edge.storage.ledger.database import Database
from edge.storage.ledger.records import Origin
from edge.system.files import Fingerprint

Row: TypeAlias = tuple[str, bytes, int, int, int, int, str, int, int, int]
ORIGINS: Final = """
SELECT claim, path, device, inode, size, mtime_ns,
    coalesce(image_id, ''), coalesce(settled, 1), submissions.seq IS NOT NULL,
    coalesce((SELECT scored FROM results JOIN outcomes USING (result_id)
              WHERE results.seq = submissions.seq), 0)
FROM origins LEFT JOIN submissions USING (claim)"""
"""Rows of `_origin`; a claim that was forgotten counts as settled."""


class Origins:
    """The origins of a ledger; what is noted of them survives a kill, not always a power cut."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Origin]:
        """List all of them."""
        return self._list("1")

    def at(self, path: Path) -> list[Origin]:
        """List the files that were copied from a place of the inbox; all but one have left it."""
        return self._list("path = ?", os.fsencode(path))

    def like(self, looks: Fingerprint) -> list[Origin]:
        """List those that had these looks when they were copied."""
        return self._list("(device, inode, size, mtime_ns) = (?, ?, ?, ?)", *looks)

    def removed(self, claim: str) -> None:
        """Note that one is gone."""
        self._note("DELETE FROM origins WHERE claim = ?", claim)

    def touched(self, claim: str, looks: Fingerprint) -> None:
        """Note how one looks by now; its bytes are the same."""
        query = "UPDATE origins SET device = ?, inode = ?, size = ?, mtime_ns = ? WHERE claim = ?"
        self._note(query, *looks, claim)

    def renamed(self, claim: str, path: Path) -> None:
        """Note the place in the inbox to which one was moved."""
        self._note("UPDATE origins SET path = ? WHERE claim = ?", os.fsencode(path), claim)

    def _list(self, which: str, *values: object) -> list[Origin]:
        with self._database.reading() as db:
            return [_origin(row) for row in db.execute(f"{ORIGINS} WHERE {which}", values)]

    def _note(self, query: str, *values: object) -> None:
        with self._database.transaction(synced=False) as db:
            db.execute(query, values)


def _origin(row: Row) -> Origin:
    claim, path, device, inode, size, mtime_ns, image_id, *told = row
    looks = (device, inode, size, mtime_ns)
    return Origin(claim, Path(os.fsdecode(path)), looks, image_id, *map(bool, told))
