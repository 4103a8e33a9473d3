"""A file that moves, also from one mount to another: it is copied whole before it goes."""

import os
from contextlib import suppress
from errno import EDQUOT, ENOSPC, EXDEV
from pathlib import Path

from edge.system import files


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
        # If it is gone, or its server may yet remove it unheard, the copy is all that is left.
        refused = error.errno not in files.PASSING - {ENOSPC, EDQUOT}
        if refused and os.path.lexists(path):
            with suppress(OSError):
                target.unlink(missing_ok=True)
        raise
