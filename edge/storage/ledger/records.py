"""Rows of the ledger as the rest of the daemon sees them, and how they are read."""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from edge.domain import Numbering, Source
from edge.storage.ledger.states import State
from edge.system.files import Fingerprint

ALONE_AFTER: Final = 3
"""An image found examining at so many starts in a row is from then on tried alone."""
POISON_AFTER: Final = ALONE_AFTER + 5
"""... and given up after so many: see docs/adr/0004-interrupted-images.md."""
MAX_ATTEMPTS: Final = 2
"""Workers one image may take down."""

REPLY: Final = "reply"
"""The sink of results that go to a requester's response topic only."""


@dataclass(frozen=True, slots=True)
class Submission:
    """One file that came, its bytes already safe in the spool."""

    image_id: str
    path: Path
    name: bytes
    source: Source
    received_at: float
    """Unix time, seconds."""
    settled: bool = True
    """Whether its writer is known to have finished."""
    origin: tuple[Path, Fingerprint] | None = None
    """Where it was copied from and is still to be removed."""
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """One row of the ledger."""

    image_id: str
    state: State
    generation: int
    attempts: int
    interrupted: int
    postponed: bool
    """Whether it waited once for a writer that may not have finished."""
    path: Path
    name: bytes
    received_at: float

    @property
    def alone(self) -> bool:
        """Whether nothing else may be in work beside it."""
        return self.interrupted >= ALONE_AFTER

    @property
    def poison(self) -> bool:
        """Whether it is given up."""
        return self.attempts >= MAX_ATTEMPTS or self.interrupted >= POISON_AFTER


Render: TypeAlias = Callable[[Numbering], bytes]
Readdress: TypeAlias = Callable[[bytes, Numbering], bytes]
"""
The payload of an earlier result of the same outcome, and the new numbering -> the new payload.
"""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """An outcome on its way into the ledger."""

    image_id: str
    result_id: str
    bundle_id: str
    scored: bool
    render: Render


COLUMNS: Final = (
    "image_id, state, generation, attempts, interrupted, not_before, path, name, received_at"
)


def find(db: sqlite3.Connection, image_id: str) -> Image | None:
    """One image, or None."""
    row = db.execute(f"SELECT {COLUMNS} FROM images WHERE image_id = ?", (image_id,)).fetchone()
    return image(row) if row else None


def image(row: tuple[str, str, int, int, int, float, bytes, bytes, float]) -> Image:
    """A row of COLUMNS."""
    image_id, state, generation, attempts, interrupted, not_before, path, name, received_at = row
    return Image(
        image_id,
        State(state),
        generation,
        attempts,
        interrupted,
        not_before > 0,
        Path(os.fsdecode(path)),
        name,
        received_at,
    )


def set_path(db: sqlite3.Connection, image_id: str, path: Path) -> None:
    """Note where an image's bytes are."""
    db.execute("UPDATE images SET path = ? WHERE image_id = ?", (os.fsencode(path), image_id))


def last_result(db: sqlite3.Connection, image_id: str) -> str | None:
    """The newest result id of an image."""
    row = db.execute(
        "SELECT result_id FROM outcomes WHERE image_id = ? ORDER BY seq DESC LIMIT 1", (image_id,)
    ).fetchone()
    return row[0] if row else None


def payload_of(db: sqlite3.Connection, result_id: str) -> bytes | None:
    """The first payload of an outcome."""
    row = db.execute(
        "SELECT payload FROM outcomes JOIN results USING (seq) WHERE outcomes.result_id = ?",
        (result_id,),
    ).fetchone()
    return row[0] if row else None


def submit(db: sqlite3.Connection, submission: Submission, claim: str | None) -> int:
    """Record one submission; returns its row id."""
    number = db.execute(
        "INSERT INTO submissions (image_id, source, claim, received_at, settled, "
        "response_topic, correlation) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            submission.image_id,
            submission.source,
            claim,
            submission.received_at,
            submission.settled,
            submission.response_topic,
            submission.correlation,
        ),
    ).lastrowid
    if submission.origin is not None:
        path, fingerprint = submission.origin
        db.execute(
            "INSERT INTO origins VALUES (?, ?, ?, ?, ?, ?)",
            (claim, os.fsencode(path), *fingerprint),
        )
    return int(number or 0)


def standing_result(db: sqlite3.Connection, known: Image, bundle_id: str) -> str | None:
    """
    The result id that answers a new submission of concluded bytes, or None where this bundle must
    look first.
    """
    row = db.execute(
        "SELECT result_id FROM outcomes WHERE image_id = ? AND bundle_id = ? AND generation = ?",
        (known.image_id, bundle_id, known.generation),
    ).fetchone()
    return row[0] if row else None


def next_seq(db: sqlite3.Connection) -> int:
    """
    The next sequence number, inside the caller's transaction: never reused, even if results are
    pruned.
    """
    row = db.execute(
        "UPDATE meta SET value = value + 1 WHERE key = 'seq' RETURNING CAST(value AS INTEGER)"
    ).fetchone()
    return int(row[0])


def ledger_id(db: sqlite3.Connection) -> str:
    """Names this ledger; another one after it was rebuilt."""
    return str(db.execute("SELECT value FROM meta WHERE key = 'ledger_id'").fetchone()[0])
