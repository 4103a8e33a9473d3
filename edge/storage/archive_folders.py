"""Tells the folders of the archive from the empty ones that lie under mounts which are away."""

import json
from collections.abc import Iterable
from contextlib import suppress
from errno import ESTALE
from pathlib import Path
from typing import Final

from edge.system import files

NAME: Final = "archives.json"
"""The note, in the state folder, with the inode number of each folder of the archive."""


class ArchiveFolders:
    """
    The folders of the archive, as they were when the daemon first ran with them.

    The inode numbers are noted, as those of devices may be others after each boot.

    Args:
        state: the state folder, where they are noted; None to know them for as long as we run.
        folders: of the archive.
    """

    def __init__(self, state: Path | None, folders: Iterable[Path]) -> None:
        noted = _read(state / NAME) if state else {}
        self._known: dict[str, object] = {}
        for folder in folders:
            with suppress(OSError):
                here = noted.get(str(folder), folder.stat().st_ino)
                self._known[str(folder)] = here
        if state and self._known != noted:
            with suppress(OSError):  # known for as long as we run, then
                files.write(state / NAME, json.dumps(self._known).encode() + b"\n")

    def is_away(self, folder: Path) -> bool:
        """Tell if another folder than the noted one lies there, or none; one not noted is not."""
        if str(folder) not in self._known:
            return False
        try:
            return folder.stat().st_ino != self._known[str(folder)]
        except OSError:
            return True

    def demand(self, folder: Path) -> None:
        """
        Refuse to look into a folder that is away: what is not found there need not be gone.

        Raises:
            OSError: it is away, or nobody can tell; the text says what to do.
        """
        if self.is_away(folder):
            why = f"{folder} is not the folder that it was: mount it, or remove {NAME} and restart"
            raise OSError(ESTALE, why)
        if not folder.is_dir():  # of an earlier configuration
            why = f"{folder} is not there: mount it, or make it"
            raise OSError(ESTALE, why)


def _read(note: Path) -> dict[str, object]:
    try:
        found = json.loads(note.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
