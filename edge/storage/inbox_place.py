"""Tells the inbox from the empty folder that lies under its mount while that is away."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.system import files

NAME: Final = "inbox.json"
"""The note, in the state folder, with the place of the inbox and its inode number."""


class InboxPlace:
    """
    The inbox as it was when a file was copied out of it last.

    A mount of another file system shows by its device number, a bind mount of the same one only by
    the inode of its folder. The number is noted, as a mount may be away at the next start.

    Args:
        state: the state folder.
        inbox: the folder.
    """

    def __init__(self, state: Path, inbox: Path) -> None:
        self._note = state / NAME
        self._inbox = inbox
        self._known = _read(self._note)

    def seen(self, inode: int) -> None:
        """Note the inode number of the inbox, of which a file was copied."""
        here = [str(self._inbox), inode]
        if here != self._known:
            self._known = here  # for as long as we run, if the disk does not take it
            with suppress(OSError):
                files.write(self._note, json.dumps(here).encode() + b"\n")

    def is_away(self) -> bool:
        """Tell if another folder lies there by now, or none; false if nothing is noted of it."""
        if self._known[:1] != [str(self._inbox)]:
            return False
        return self._known[1:] != [inode_at(self._inbox)]


def inode_at(folder: Path) -> int | None:
    """Return the inode number of a folder; None if there is none, or nobody can tell."""
    try:
        return folder.stat().st_ino
    except OSError:
        return None


def _read(note: Path) -> list[object]:
    try:
        found = json.loads(note.read_bytes())
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []
