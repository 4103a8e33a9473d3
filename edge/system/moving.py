"""A file that moves, also from one mount to another: it is copied whole before it goes."""

import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from errno import EACCES, ENOENT, EPERM, EROFS, EXDEV
from pathlib import Path
from typing import Final

from edge.system import files

REFUSED: Final = {EACCES, EPERM, EROFS}
"""A file stays whose removal ends so."""


def move(
    path: Path, target: Path, beat: files.Beat, named: Callable[[Path], Path] | None = None
) -> Path:
    """
    Rename a file, or copy and remove it if that crosses a mount.

    Args:
        path: the file.
        target: the place of the file from now on.
        beat: called while it is copied.
        named: makes the place of a copy, in the same folder, from the copy; None for `target`.

    Returns:
        The place of the file.

    Raises:
        OSError: it failed, or the system does not say that it did not.
    """
    try:
        path.rename(target)
        _remove_other_name(path, target)
    except OSError as error:
        if error.errno != EXDEV:
            raise
        if named is not None:
            target, made = _copy_and_name(path, target.parent, beat, named)
        else:
            made = is_gone(target)
            files.copy(path, target, beat)
        remove_copied(path, target, made=made)
    files.sync_folder(target.parent)
    return target


def _remove_other_name(path: Path, target: Path) -> None:
    """
    Remove the old name of a file that has the new one already, for a rename leaves both then.

    A disk that lost its power between two syncs may have both (btrfs).
    """
    with suppress(FileNotFoundError):
        old, new = path.lstat(), target.lstat()
        linked = os.path.samestat(old, new) and old.st_nlink > 1
        # In one folder it may be one name that is spelt in two ways, by a link or by case.
        if linked and not path.parent.samefile(target.parent):
            path.unlink()


def is_gone(path: Path) -> bool:
    """Tell if there is no such file; while a disk fails or is away, nobody can tell."""
    try:
        path.lstat()
    except OSError as error:
        return error.errno == ENOENT and os.path.lexists(path.parent)
    return False


def _copy_and_name(
    path: Path, folder: Path, beat: files.Beat, named: Callable[[Path], Path]
) -> tuple[Path, bool]:
    """Copy a file; returns the copy's place, and false if an earlier copy lay there."""
    copy = folder / f".{uuid.uuid4()}{files.PART}"
    try:
        files.copy(path, copy, beat)
        target = named(copy)
        beat()  # to name it takes a while, too: what was written meanwhile is not in the copy
        made = is_gone(target)
        copy.rename(target)
    except BaseException:
        with suppress(OSError):
            copy.unlink(missing_ok=True)
        raise
    files.sync_folder(folder)  # the copy is on the disk before the file goes
    return target, made


def remove_copied(path: Path, target: Path, *, made: bool) -> None:
    """
    Remove a file that was copied; if it stays, its copy goes: each further try would leave one.

    Args:
        path: the file.
        target: the copy.
        made: false if the same bytes lay there before, on which somebody may count.

    Raises:
        OSError: the file could not be removed.
    """
    try:
        # The copy is one file with it if both are one name, seen through a link or a mount.
        if not os.path.samestat(path.lstat(), target.lstat()):
            path.unlink()
    except OSError as error:
        # After any other error, as of a connection, its server may yet remove it unheard: then the
        # copy is all that is left.
        if made and error.errno in REFUSED and os.path.lexists(path):
            with suppress(OSError):
                target.unlink(missing_ok=True)
        raise
