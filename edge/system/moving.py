"""A file that moves, also from one mount to another: it is copied whole before it goes."""

import os
from contextlib import suppress
from errno import EACCES, EPERM, EROFS, EXDEV
from pathlib import Path
from typing import Final

from edge.system import files

REFUSED: Final = {EACCES, EPERM, EROFS}
"""A file stays whose removal ends so."""


def move(path: Path, target: Path, beat: files.Beat) -> None:
    """Rename a file, or copy and remove it if that crosses a mount."""
    try:
        path.rename(target)
    except OSError as error:
        if error.errno != EXDEV:
            raise
        files.copy(path, target, beat)
        remove_copied(path, target)
    files.sync_folder(target.parent)


def remove_copied(path: Path, target: Path) -> None:
    """
    Remove a file that was copied; if it stays, its copy goes: each further try would leave one.

    Raises:
        OSError: the file could not be removed.
    """
    try:
        path.unlink()
    except OSError as error:
        # After any other error, as of a connection, its server may yet remove it unheard: then the
        # copy is all that is left.
        if error.errno in REFUSED and os.path.lexists(path):
            with suppress(OSError):
                target.unlink(missing_ok=True)
        raise
