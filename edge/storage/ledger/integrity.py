"""Damage of a ledger: found at start, set aside whole, never repaired, never silent."""

import logging
import sqlite3
import time
from pathlib import Path
from typing import Final

from edge.storage.ledger import schema, wal_mark
from edge.system.files import sync_folder

log = logging.getLogger(__name__)

FOLDER: Final = "damaged"
CODES: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class DamagedError(Exception):
    """The ledger's file or log is damaged; the text says how it was seen."""


def is_damage(error: Exception) -> bool:
    """Tell if an error at opening says that the file is damaged, and not that the disk is full."""
    if isinstance(error, UnicodeDecodeError):
        return True  # SQLite quotes what it found in a damaged file, and Python cannot read it
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(error, sqlite3.OperationalError) if code is None else code & 0xFF in CODES


def check_log(
    db: sqlite3.Connection, file: Path, note: wal_mark.Note | None, found: tuple[int, int] | None
) -> None:
    """
    Compare the write-ahead log with what the last daemon noted of it.

    Raises:
        DamagedError: commits are gone.
    """
    _, frames, _ = db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    lost = wal_mark.missing(note, found, frames) if note else None
    if lost:
        raise DamagedError(lost)
    log.debug("event=ledger_log_is_whole file=%s frames=%d", file.name, frames)


def check_tables(db: sqlite3.Connection) -> None:
    """
    Look at every page, index, reference and payload. About as long as reading the file takes.

    Raises:
        DamagedError: something does not fit.
    """
    first = db.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if first != "ok":
        raise DamagedError(first.splitlines()[-1])
    expected, found = schema.shape_of(schema.version_of(db)), schema.shape(db)
    if found != expected:
        wrong = sorted(
            name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name)
        )
        msg = (
            f"its tables {', '.join(wrong)} are not those of schema version {schema.version_of(db)}"
        )
        raise DamagedError(msg)
    if db.execute("PRAGMA foreign_key_check").fetchone():
        msg = "rows are missing that others refer to"
        raise DamagedError(msg)


def check_rows(db: sqlite3.Connection) -> None:
    """
    Compare payloads with their checksums, and the numbers given with the number noted.

    Raises:
        DamagedError: one is not what was written.
    """
    db.create_function("crc32", 1, schema.crc32, deterministic=True)
    _check_numbered(db, "results", "seq", "result")
    _check_numbered(db, "exam_results", "exam_seq", "exam result")


def _check_numbered(db: sqlite3.Connection, table: str, key: str, what: str) -> None:
    wrong = f"SELECT seq FROM {table} WHERE crc32(payload) != crc32 LIMIT 1"
    changed = db.execute(wrong).fetchone()
    if changed:
        msg = f"{what} {changed[0]} is not what was written"
        raise DamagedError(msg)
    given, noted = db.execute(
        f"SELECT coalesce(max(seq), 0), (SELECT value FROM meta WHERE key = ?) FROM {table}", (key,)
    ).fetchone()
    if noted is None or not noted.isdigit() or int(noted) < given:
        msg = f"the last sequence number is noted as {noted}, {what}s go up to {given}"
        raise DamagedError(msg)


def set_aside(file: Path) -> Path:
    """
    Move a damaged ledger out of the way, its log first.

    After a kill in between, the rest is found damaged again.
    """
    folder = file.parent / FOLDER / time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    while folder.exists():
        folder = folder.with_name(f"{folder.name}-again")
    folder.mkdir(parents=True)
    for part in (f"{file}-wal", f"{file}-shm", file):
        if Path(part).exists():
            Path(part).rename(folder / Path(part).name)
    file.with_name(wal_mark.NAME).unlink(missing_ok=True)
    for changed in (folder, folder.parent, file.parent):
        sync_folder(changed)
    return folder
