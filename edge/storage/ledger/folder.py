"""The folder of a ledger: one daemon has it, and it has room or not."""

import fcntl
import os
import tempfile
from pathlib import Path

from edge.errors import StartupError, Unavailable
from edge.system import files


def own(folder: Path) -> int:
    """
    Take a folder, made if need be, for this process alone; returns the lock to close.

    Raises:
        StartupError: another daemon has it, or it is not writable.
        Unavailable: the disk is full or failing.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        msg = f"state.path: {folder}: {error.strerror}"
        raise (Unavailable(msg) if error.errno in files.PASSING else StartupError(msg)) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        msg = f"state.path: {folder}: another mammo-edge has it open"
        raise StartupError(msg) from None
    return lock


def no_room_beside(file: Path) -> str | None:
    """
    Try to make a file beside the ledger, as SQLite must for its log.

    SQLite says only that it cannot open something.

    Returns:
        The reason if that cannot be done now and may be done later.
    """
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            return None
    except OSError as error:
        return error.strerror if error.errno in files.PASSING else None
