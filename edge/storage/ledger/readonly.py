"""A look into a ledger that a daemon may have open, which changes nothing."""

import sqlite3
from pathlib import Path

from edge.errors import StartupError
from edge.storage.ledger import schema
from edge.storage.ledger.schema import FILE, NewerSchemaError, OlderSchemaError


def open_readonly(folder: Path) -> sqlite3.Connection:
    """
    Look into a ledger that a daemon may have open.

    Raises:
        StartupError: there is none, or it cannot be read.
    """
    try:
        if not (folder / FILE).exists():
            msg = f"{folder / FILE}: there is no ledger yet: the service was never started"
            raise StartupError(msg)
        db = sqlite3.connect(f"{(folder / FILE).absolute().as_uri()}?mode=ro", uri=True)
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
