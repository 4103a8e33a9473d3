"""
The ledger's tables and their migrations.

An *image* is one file by its bytes: its row has the state, the place of its file and the result
that stands. A *submission* is one arrival of an image, from a folder or a requester, and gets one
*result* with a sequence number of its own. An *outcome* is what one bundle made of an image, once a
generation, which grows by `retry`; a submission of known bytes gets another result of the same
outcome. The *outbox* has one row for each result and each sink that does not have it yet, *origins*
the copied files that are still to be removed in the inbox, and *waiting_references* the requests
whose file is not there yet. Exams have tables of their own, see `schema_exams`, and so have scores
and verdicts, which outlive all these. A ledger of an earlier release is brought forward, never
back, in one transaction.
"""

import sqlite3
import uuid
import zlib
from collections.abc import Mapping
from typing import Final, TypeAlias

from edge.errors import StartupError
from edge.storage.ledger.exam_verdict_tables import EXAM_VERDICT_TABLES, FROM_EXAM_RESULTS
from edge.storage.ledger.schema_exams import EXAM_REPORTS, EXAMS
from edge.storage.ledger.verdict_tables import FROM_RESULTS, VERDICT_TABLES

FILE: Final = "ledger.sqlite3"
"""The ledger's name in the state folder."""
FIRST: Final = """
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
"""  # noqa: E501 - every ledger keeps this text, to the letter
"""Version 1, as release 0.1.0 made it."""

MIGRATIONS: Final[Mapping[int, str]] = {
    1: """
-- when its file came to done or failed (Unix time), and 1 while it is to lie there
ALTER TABLE images ADD COLUMN archived_at REAL NOT NULL DEFAULT 0;
ALTER TABLE images ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
UPDATE images SET kept = 1, archived_at = coalesce(
    (SELECT max(completed_at) FROM results JOIN submissions ON submissions.id = results.submission
     WHERE submissions.image_id = images.image_id), received_at) WHERE state = 'archived';
CREATE INDEX images_by_archive ON images (archived_at) WHERE state = 'archived';
-- of the payload, which no structure of SQLite's protects
ALTER TABLE results ADD COLUMN crc32 INTEGER NOT NULL DEFAULT 0;
UPDATE results SET crc32 = crc32(payload);
CREATE INDEX submissions_by_image ON submissions (image_id);
CREATE INDEX results_by_submission ON results (submission);
CREATE INDEX results_by_result ON results (result_id);
CREATE INDEX results_by_time ON results (completed_at);
CREATE INDEX outbox_by_sink ON outbox (sink, seq) WHERE held IS NULL;
""",
    2: """
-- requests that name a file of the inbox, until the file is there or they are refused
CREATE TABLE waiting_references (
    id             INTEGER PRIMARY KEY,
    request        BLOB NOT NULL,              -- what came, to the byte
    response_topic TEXT,
    correlation    BLOB
) STRICT;
""",
    3: f"{VERDICT_TABLES}{FROM_RESULTS};",
    4: EXAMS,
    5: f"{EXAM_VERDICT_TABLES}{FROM_EXAM_RESULTS};",
    6: EXAM_REPORTS,
}
"""Steps from each version to the next. New ones go below; those above and FIRST never change."""

VERSION: Final = 1 + len(MIGRATIONS)
Shape: TypeAlias = dict[str, list[tuple[object, ...]]]
"""Columns and indexes of each table."""


class NewerSchemaError(StartupError):
    """The ledger was written by a newer release."""


class OlderSchemaError(StartupError):
    """The ledger is of an earlier release, and no daemon of this one has taken it over yet."""


def version_of(db: sqlite3.Connection) -> int:
    """
    Read the schema version of an open ledger; 0 of an empty file.

    Raises:
        NewerSchemaError: this release cannot read it.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        msg = (
            f"its schema version is {version}, this release reads up to {VERSION}: "
            "install the release that wrote it, or a newer one"
        )
        raise NewerSchemaError(msg)
    return version


def create(db: sqlite3.Connection, why: str) -> None:
    """Make the tables of a new ledger in an empty file; `why` is kept until `rebuilt` was said."""
    ids = f"INSERT INTO meta VALUES ('ledger_id', '{uuid.uuid4()}'), ('seq', '0');"
    reason = f"INSERT INTO meta VALUES ('rebuild', '{why.replace(chr(39), '')}');"
    first = f"{FIRST} {ids} PRAGMA user_version = 1;"
    db.executescript(f"BEGIN; {first} {_steps(db, 1)} {reason} COMMIT;")


def migrate(db: sqlite3.Connection) -> None:
    """Bring a ledger of an earlier release to this one's version, in one transaction."""
    db.executescript(f"BEGIN IMMEDIATE; {_steps(db, version_of(db))} COMMIT;")


def shape(db: sqlite3.Connection) -> Shape:
    """Describe the tables that an open ledger has."""
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = 'SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info(?)'
    indexes = "SELECT name FROM pragma_index_list(?) WHERE origin = 'c' ORDER BY name"
    return {name: [*db.execute(columns, (name,)), *db.execute(indexes, (name,))] for name in tables}


def shape_of(version: int) -> Shape:
    """Describe the tables that a ledger of a version has."""
    db = sqlite3.connect(":memory:")
    db.executescript(FIRST)
    db.executescript(_steps(db, 1, version))
    try:
        return shape(db)
    finally:
        db.close()


def crc32(payload: bytes) -> int:
    """Compute the checksum of a payload."""
    return zlib.crc32(payload)


def _steps(db: sqlite3.Connection, version: int, to: int = VERSION) -> str:
    db.create_function("crc32", 1, crc32, deterministic=True)
    steps = [
        f"{MIGRATIONS[number]} PRAGMA user_version = {number + 1};" for number in range(version, to)
    ]
    return "\n".join(steps)
