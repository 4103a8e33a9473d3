"""
The ledger's file: one SQLite database with one owner.

Every commit that anyone is told of is on disk before.
"""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Final

from edge.errors import MammoEdgeError, StartupError, StateDamagedError, Unavailable
from edge.storage.ledger import integrity, schema, wal_mark
from edge.storage.ledger.folder import no_room_beside, own
from edge.storage.ledger.integrity import DamagedError
from edge.storage.ledger.schema import NewerSchemaError
from edge.storage.ledger.wal_mark import WalMark
from edge.storage.ledger.witness import Witness
from edge.system import files

log = logging.getLogger(__name__)

FILE: Final = schema.FILE
SYNCED: Final = "PRAGMA synchronous = FULL"
"""Every commit is on disk when it returns."""
UNSYNCED: Final = "PRAGMA synchronous = NORMAL"
"""
Commits are in order, and on disk with the next synced one or the next checkpoint.

See https://www.sqlite.org/pragma.html.
"""
NEW: Final = "new"
"""The reason why a ledger is empty that is the first of its folder."""
PASSING: Final = frozenset(
    {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM}
)
"""Errors that pass when there is room again: never a reason to give a ledger up."""


class Database:
    """
    The open database. Threads share it; a transaction holds its lock.

    One that is damaged is set aside, and a new one made; `why_empty` says so until `rebuilt`.

    Raises:
        StartupError: the folder is not writable, another daemon has it, or a newer release wrote
            the ledger.
        Unavailable: the disk is full or failing.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = RLock()
        self._file = folder / FILE
        self._owner = own(folder)
        self._witness: Witness | None = None
        self.left_open = self._file.with_name(wal_mark.NAME).exists()
        """True if the last daemon, or the machine, ended without closing it."""
        try:
            self._db, self._mark = _open_marked(self._file)
        except (NewerSchemaError, sqlite3.Error) as error:
            os.close(self._owner)
            raise _startup_error(error, self._file) from None
        except OSError as error:
            os.close(self._owner)
            msg = f"{self._file}: {error.strerror}"
            raise (
                Unavailable(msg) if error.errno in files.PASSING else StartupError(msg)
            ) from None

    @property
    def why_empty(self) -> str | None:
        """
        The reason why this ledger is to be filled from spool and archive; None if it need not be.
        """
        row = self._db.execute("SELECT value FROM meta WHERE key = 'rebuild'").fetchone()
        return str(row[0]) if row else None

    def rebuilt(self) -> None:
        """Note that everything that spool and archive know is recorded."""
        with self.transaction() as db:
            db.execute("DELETE FROM meta WHERE key = 'rebuild'")

    def give_up(self, why: str) -> None:
        """
        Set the open ledger aside, since something outside shows that it is not what was written.
        """
        with self._lock:
            self._mark.close()
            self._db.close()
            self._db = _replace(self._file, why)
            self._mark = WalMark(self._file)

    @contextmanager
    def transaction(self, *, synced: bool = True) -> Iterator[sqlite3.Connection]:
        """
        Run the block as one transaction: all or nothing, and on disk when it returns.

        Args:
            synced: False for changes that are found or made again if a power cut takes them back.
                A kill takes nothing back, and the next synced transaction takes them along.

        Raises:
            Unavailable: the disk is full or failing; nothing was changed.
            StateDamagedError: the ledger is damaged.
        """
        with self._lock:
            try:
                self._db.execute(SYNCED if synced else UNSYNCED)
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.rollback()
                    raise
                self._db.commit()
                if synced:
                    self._mark.note()  # of what a power cut may take back it must not speak
                    self._bear_witness()
            except sqlite3.DatabaseError as error:
                if self._db.in_transaction:
                    self._db.rollback()
                _raise_if_foreseen(error)
                raise

    def watch(self, witness: Witness) -> None:
        """Have a witness told of the last number that was given, now and after each commit."""
        with self._lock:
            self._witness = witness
            self._bear_witness()

    def _bear_witness(self) -> None:
        if self._witness is None:
            return
        with contextlib.suppress(sqlite3.Error):  # the commit stands, whatever comes of this
            said = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
            self._witness.note(said["ledger_id"], int(said["seq"]))

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """
        Look without changing anything.

        Raises:
            Unavailable: the disk is failing.
            StateDamagedError: the ledger is damaged.
        """
        with self._lock:
            try:
                yield self._db
            except sqlite3.DatabaseError as error:
                _raise_if_foreseen(error)
                raise

    def cut_log(self) -> None:
        """
        Write the whole log back into the file, and cut it to nothing.

        Raises:
            Unavailable: somebody reads the ledger, or the disk fails; erased rows may still be in
                the log.
        """
        with self.reading() as db:
            # Before it: after a kill in between, the note would miss what was written back.
            self._mark.void()
            try:
                busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                self._mark.note()
        if busy:
            msg = "ledger: somebody reads it, so its log still has what was erased"
            raise Unavailable(msg)

    def close(self) -> None:
        """Close the file and let the folder go."""
        with self._lock:
            with contextlib.suppress(OSError):
                self._mark.clear()
            self._mark.close()
            if self._witness is not None:
                self._witness.close()
            self._db.close()
            os.close(self._owner)


def _unavailable(error: sqlite3.Error) -> Unavailable:
    return Unavailable(f"ledger: {error}")


def _raise_if_foreseen(error: sqlite3.DatabaseError) -> None:
    """Raise what an error of the open ledger means to its callers."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in integrity.CODES:
        msg = f"ledger: {error}"
        raise StateDamagedError(msg) from error
    if isinstance(error, sqlite3.OperationalError):
        raise _unavailable(error) from error


def _startup_error(error: Exception, file: Path) -> MammoEdgeError:
    if isinstance(error, NewerSchemaError):
        return StartupError(f"{file}: {error}")
    if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in PASSING:
        return _unavailable(error)
    if isinstance(error, sqlite3.Error) and (why := no_room_beside(file)):
        return Unavailable(f"ledger: {why}")
    return StartupError(f"{file}: not usable as a ledger: {error}")


def _open_marked(file: Path) -> tuple[sqlite3.Connection, WalMark]:
    db = _open_sound(file)
    try:
        return db, WalMark(file)
    except BaseException:
        db.close()
        raise


def _open_sound(file: Path) -> sqlite3.Connection:
    """Open the ledger as it was left, proved; or a new one in its place."""
    try:
        return _open(file)
    except DamagedError as error:
        return _replace(file, str(error))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if not integrity.is_damage(error):
            raise
        return _replace(
            file, str(error) if isinstance(error, sqlite3.Error) else "its schema is not text"
        )


def _replace(file: Path, why: str) -> sqlite3.Connection:
    kept = integrity.set_aside(file)
    log.critical('event=ledger_damaged why="%s" set_aside=%s', why, kept)
    return _open(file, f"damaged: {why}")


def _open(file: Path, why_empty: str = NEW) -> sqlite3.Connection:
    note, salts = wal_mark.left_behind(file), wal_mark.salts(file)
    if file.exists() and file.stat().st_size == 0:
        msg = "its file is empty"
        raise DamagedError(msg)
    db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    try:
        _prepare(db)
        integrity.check_log(db, file, note, salts)
        if schema.version_of(db) == 0:
            _create(db, why_empty)
        elif schema.version_of(db) < schema.VERSION:
            _migrate(db)
        else:
            integrity.check_tables(db)
        integrity.check_rows(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(SYNCED)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten
    # In KiB: pages come from the system's cache too, and our memory stays flat as the ledger grows.
    db.execute("PRAGMA cache_size = -512")


def _create(db: sqlite3.Connection, why_empty: str) -> None:
    if db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        msg = "its schema version is 0, but it has tables"
        raise DamagedError(msg)
    schema.create(db, why_empty)


def _migrate(db: sqlite3.Connection) -> None:
    integrity.check_tables(db)
    before = schema.version_of(db)
    schema.migrate(db)
    log.info("event=ledger_migrated schema_version=%d before=%d", schema.VERSION, before)
