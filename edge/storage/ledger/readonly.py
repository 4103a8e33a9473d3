"""A look into a ledger that a daemon may have open, which changes nothing."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.errors import StartupError
from edge.storage.ledger import schema
from edge.storage.ledger.schema import FILE, NewerSchemaError, OlderSchemaError


@contextmanager
def open_readonly(folder: Path) -> Iterator[sqlite3.Connection]:
    """
    Look into a ledger that a daemon may have open, for the time of the block.

    Raises:
        StartupError: there is none, or it cannot be read, also amid the block.
    """
    db = _open(folder)
    try:
        yield db
    except sqlite3.Error as error:
        msg = f"{folder / FILE}: {error}"
        raise StartupError(msg) from None
    finally:
        db.close()


def _open(folder: Path) -> sqlite3.Connection:
    try:
        if not (folder / FILE).exists():
            msg = f"{folder / FILE}: there is no ledger yet: the service was never started"
            raise StartupError(msg)
        db = sqlite3.connect(f"{(folder / FILE).absolute().as_uri()}?{_mode(folder)}", uri=True)
        version = schema.version_of(db)
    except (sqlite3.Error, NewerSchemaError) as error:
        msg = f"{folder / FILE}: {error}"
        raise StartupError(msg) from None
    if version < schema.VERSION:
        msg = (
            f"{folder / FILE}: its schema version is {version}; the daemon "
            f"brings it to {schema.VERSION} at its next start"
        )
        raise OlderSchemaError(msg)
    return db


def _mode(folder: Path) -> str:
    """
    Return the way to open a ledger.

    Without a log SQLite would make one, which a mere reader of the folder may not; then no daemon
    has the ledger open either, and the file can be taken as it is.
    """
    needs_log = not (folder / f"{FILE}-wal").exists()
    may_write = os.access(folder, os.W_OK, effective_ids=True)
    return "immutable=1" if needs_log and not may_write else "mode=ro"
