"""The ledger's file: one SQLite database, one owner, every commit on disk before anyone is told."""

import fcntl
import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from errno import ENOSPC
from pathlib import Path
from threading import RLock
from typing import Final

from edge.errors import StartupError, Unavailable

FILE: Final = "ledger.sqlite3"
SCHEMA_VERSION: Final = 1
PASSING: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM})
"""What goes by when there is room again: never a reason to give a ledger up."""
SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE images (
    image_id    TEXT PRIMARY KEY,              -- SHA-256 of the bytes
    state       TEXT NOT NULL,
    generation  INTEGER NOT NULL DEFAULT 0,    -- grows by retry
    attempts    INTEGER NOT NULL DEFAULT 0,    -- workers that died of it
    interrupted INTEGER NOT NULL DEFAULT 0,    -- starts in a row that found it examining
    not_before  REAL NOT NULL DEFAULT 0,       -- looked at again only then (Unix time)
    result_id   TEXT,                          -- of the outcome that stands
    path        BLOB NOT NULL,                 -- where its bytes are now
    name        BLOB NOT NULL,                 -- what the sender called it; never leaves this machine
    received_at REAL NOT NULL
) STRICT;
CREATE INDEX images_by_state ON images (state, interrupted, received_at);
CREATE TABLE submissions (
    id             INTEGER PRIMARY KEY,
    image_id       TEXT NOT NULL REFERENCES images,
    source         TEXT NOT NULL,              -- folder, mqtt, retry
    claim          TEXT UNIQUE,                -- name in spool/claimed under which the bytes came
    received_at    REAL NOT NULL,
    settled        INTEGER NOT NULL,           -- 0: found lying, its writer may not have finished
    response_topic TEXT,
    correlation    BLOB,
    seq            INTEGER                     -- NULL while it waits for an outcome
) STRICT;
CREATE INDEX submissions_waiting ON submissions (image_id) WHERE seq IS NULL;
CREATE TABLE origins (                         -- copied from another mount, not yet removed there
    claim TEXT PRIMARY KEY, path BLOB NOT NULL,
    device INTEGER NOT NULL, inode INTEGER NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE outcomes (
    result_id  TEXT PRIMARY KEY,
    image_id   TEXT NOT NULL REFERENCES images,
    bundle_id  TEXT NOT NULL,
    generation INTEGER NOT NULL,
    scored     INTEGER NOT NULL,               -- 1: done, 0: rejected
    seq        INTEGER NOT NULL                -- of its first result
) STRICT;
CREATE INDEX outcomes_by_image ON outcomes (image_id, seq);
CREATE TABLE results (
    seq          INTEGER PRIMARY KEY,          -- given in the outcome's transaction, never again
    result_id    TEXT NOT NULL REFERENCES outcomes,
    submission   INTEGER NOT NULL REFERENCES submissions,
    completed_at REAL NOT NULL,
    payload      BLOB NOT NULL                 -- what is published, to the byte
) STRICT;
CREATE TABLE outbox (
    seq  INTEGER NOT NULL REFERENCES results,
    sink TEXT NOT NULL,
    held TEXT,                                 -- why the sink refused it; NULL: still to be sent
    PRIMARY KEY (seq, sink)
) STRICT, WITHOUT ROWID;
"""


class Store:
    """
    The open database. Threads share it; a transaction holds its lock.

    Raises:
        StartupError: the folder is not writable, another daemon has it, or the file is not a ledger of this version.
        Unavailable: the disk is full or failing.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = RLock()
        self._owner = _own(folder)
        try:
            self._db = _open(folder / FILE)
        except sqlite3.Error as error:
            os.close(self._owner)
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in PASSING:
                raise _unavailable(error) from None
            msg = f"{folder / FILE}: not usable as a ledger: {error}; move it away to start with an empty one"
            raise StartupError(msg) from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        All or nothing, and on disk when it returns.

        Raises:
            Unavailable: the disk is full or failing; nothing was changed.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.rollback()
                    raise
                self._db.commit()
            except sqlite3.OperationalError as error:
                if self._db.in_transaction:
                    self._db.rollback()
                raise _unavailable(error) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """
        Look without changing anything.

        Raises:
            Unavailable: the disk is failing.
        """
        with self._lock:
            try:
                yield self._db
            except sqlite3.OperationalError as error:
                raise _unavailable(error) from error

    def close(self) -> None:
        """Close the file and let the folder go."""
        with self._lock:
            self._db.close()
            os.close(self._owner)


def next_seq(db: sqlite3.Connection) -> int:
    """The next sequence number, inside the caller's transaction: never reused, even if results are pruned."""
    row = db.execute("UPDATE meta SET value = value + 1 WHERE key = 'seq' RETURNING CAST(value AS INTEGER)").fetchone()
    return int(row[0])


def ledger_id(db: sqlite3.Connection) -> str:
    """Names this ledger; another one after it was rebuilt."""
    return str(db.execute("SELECT value FROM meta WHERE key = 'ledger_id'").fetchone()[0])


def open_readonly(folder: Path) -> sqlite3.Connection:
    """
    Look into a ledger that a daemon may have open.

    Raises:
        StartupError: there is none, or it cannot be read.
    """
    try:
        db = sqlite3.connect(f"{(folder / FILE).absolute().as_uri()}?mode=ro", uri=True)
        _check_version(db.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        msg = f"{folder / FILE}: {error}"
        raise StartupError(msg) from None
    return db


def _unavailable(error: sqlite3.Error) -> Unavailable:
    return Unavailable(f"ledger: {error}")


def _own(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        msg = f"state.path: {folder}: {error.strerror}"
        raise (Unavailable(msg) if error.errno == ENOSPC else StartupError(msg)) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        msg = f"state.path: {folder}: another mammo-edge has it open"
        raise StartupError(msg) from None
    return lock


def _open(file: Path) -> sqlite3.Connection:
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        _create(db)
    else:
        _check_version(version)
    return db


def _create(db: sqlite3.Connection) -> None:
    db.executescript(
        f"BEGIN; {SCHEMA}"
        f"INSERT INTO meta VALUES ('ledger_id', '{uuid.uuid4()}'), ('seq', '0');"
        f"PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
    )


def _check_version(version: int) -> None:
    if version != SCHEMA_VERSION:
        msg = f"its schema version is {version}, this release reads {SCHEMA_VERSION}"
        raise sqlite3.DatabaseError(msg)
