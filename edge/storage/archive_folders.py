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
APART: Final = "on other disks"
"""The key, beside the folders, of the list of those that are on other disks than the note."""


class ArchiveFolders:
    """
    The folders of the archive, as they were when the daemon first ran with them.

    The inode numbers are noted, as those of devices may be others after each boot. Some servers
    give others at each mount, too, and a person may make a folder anew: new files go to any folder,
    but to none on the disk of the state folder that was on another disk.

    Args:
        state: the state folder, where they are noted; None to know them for as long as we run.
        folders: of the archive.
    """

    def __init__(self, state: Path | None, folders: Iterable[Path]) -> None:
        noted = _read(state / NAME) if state else {}
        before = noted.get(APART)
        self._state = state
        self._apart = {str(one) for one in before} if isinstance(before, list) else set()
        self._known: dict[str, object] = {}
        for folder in folders:
            with suppress(OSError):
                here = noted.get(str(folder), folder.stat().st_ino)
                self._known[str(folder)] = here
                if self._is_apart(folder):
                    self._apart.add(str(folder))
        now = self._known | ({APART: sorted(self._apart)} if self._apart else {})
        if state and now != noted:
            with suppress(OSError):  # known for as long as we run, then
                files.write(state / NAME, json.dumps(now).encode() + b"\n")

    def _is_apart(self, folder: Path) -> bool:
        """Tell if a folder is on another disk than the state folder."""
        return self._state is not None and files.device_at(folder) != files.device_at(self._state)

    def demand_disk(self, folder: Path) -> None:
        """
        Refuse to put a file where it would be hidden once its disk is mounted.

        Raises:
            OSError: the disk is away; the text says what to do.
        """
        if str(folder) in self._apart and not self._is_apart(folder):
            why = f"{folder} is not on its own disk: mount it, or remove {NAME} and restart"
            raise OSError(ESTALE, why)

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
