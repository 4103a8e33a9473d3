"""
Places of images whose folder has another name by now, as another link or mount leads to it.

Two names of one file would be taken for two copies, of which one is to go.
"""

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edge.storage.ledger.database import Database
from edge.system.patience import PATIENCE_S, within

log = logging.getLogger(__name__)

RENAME: Final = """
UPDATE images SET path = CAST(?1 || substr(path, length(?2) + 1) AS BLOB)
WHERE substr(path, 1, length(?2)) = ?2 AND instr(substr(path, length(?2) + 1), x'2F') = 0"""
"""Gives the images of a folder, but none below it, the beginning of another one's paths."""


class Places:
    """
    The folders in which the images of a ledger lie.

    Args:
        database: of the ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def follow(self, folders: Iterable[Path]) -> None:
        """
        Note the places of images by the names that their folders have now.

        Args:
            folders: of the spool and the archive.

        Raises:
            Unavailable: the ledger cannot be read or written.
        """
        ours = list(folders)
        with self._database.reading() as db:
            found = db.execute("SELECT path FROM images")
            known = {path.rpartition(b"/")[0] for (path,) in found}
        for before in known - {b"", *map(os.fsencode, ours)}:
            now = next((one for one in ours if _is_same(Path(os.fsdecode(before)), one)), None)
            if now is None:
                continue
            with self._database.transaction(synced=False) as db:  # the next start would do it again
                named = db.execute(RENAME, (os.fsencode(now) + b"/", before + b"/"))
            log.info("event=folder_has_another_name images=%d", named.rowcount)


def _is_same(folder: Path, other: Path) -> bool:
    """Tell if two names lead to one folder; not if a file system does not answer."""
    try:
        return within(PATIENCE_S, lambda: folder.samefile(other))
    except OSError:  # also a timeout
        return False
