"""Erases an image outside of the ledger: its file, the JSON beside it, lines, damaged ledgers."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from edge.storage.ledger.integrity import FOLDER
from edge.storage.names import result_path, sender_name
from edge.system.files import sync_folder

NOTHING: Final = b"{}"
"""A line of JSON that says nothing, padded with blanks to the length of the line it replaces."""


def remove_file(path: Path) -> bool:
    """
    Remove an image's file and the result beside it; returns True if the file was there.

    Raises:
        OSError: one of them cannot be removed.
    """
    there = path.exists()
    path.unlink(missing_ok=True)
    result_path(path).unlink(missing_ok=True)
    if path.parent.is_dir():
        sync_folder(path.parent)
    return there


def remove_archived(folders: Iterable[Path], image_id: str) -> int:
    """
    Remove what the archive has of an image that the ledger may know no more; returns the number.

    Raises:
        OSError: one of the files cannot be removed.
    """
    named = [path for folder in folders for path in folder.glob(f"*.{image_id[:16]}*")]
    # Another image may have been sent under the name of this one in the archive.
    found = [path for path in named if sender_name(path.name.removesuffix(".json"), image_id)]
    for path in found:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in found}:
        sync_folder(folder)
    return sum(path.suffix != ".json" for path in found)


def blank_lines(file: Path, image_id: str) -> int:
    """
    Overwrite the lines of a JSON lines file that name an image, each by an empty object.

    The file keeps its length and its other lines their places: whoever follows the file reads on,
    and what is appended meanwhile is not lost.

    Returns:
        The number of lines.

    Raises:
        OSError: the file cannot be read or written.
    """
    wanted, blanked, place = image_id.encode(), 0, 0
    if not file.exists():
        return 0
    with file.open("r+b", buffering=0) as raw, file.open("rb") as lines:
        for line in lines:
            if wanted in line:
                size = len(line.rstrip(b"\n"))
                os.pwrite(raw.fileno(), NOTHING.ljust(size), place)
                blanked += 1
            place += len(line)
        os.fsync(raw.fileno())
    return blanked


def remove_damaged(state: Path) -> int:
    """
    Remove ledgers that were set aside as damaged: nobody can tell what is in them.

    Raises:
        OSError: one cannot be removed; all others are.
    """
    entries, failed = list((state / FOLDER).glob("*")), None
    for entry in entries:
        try:
            remove_all_of(entry)
        except OSError as error:
            failed = error
    if failed:
        raise failed
    return len(entries)


def remove_all_of(entry: Path) -> None:
    """
    Remove a folder with all that is in it, or a link or file that somebody put in its place.

    Raises:
        OSError: some of it cannot be removed; all else of it is.
    """
    if entry.is_symlink() or not entry.is_dir():
        entry.unlink(missing_ok=True)
        return
    shutil.rmtree(entry, ignore_errors=True)
    if entry.exists():
        shutil.rmtree(entry)  # says why
