"""Rows of the ledger as the rest of the daemon sees them, and how they are read and written."""

import os
import sqlite3
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, fields
from pathlib import Path
from typing import Final, TypeAlias

from edge.domain import Numbering, Source
from edge.storage.ledger.states import State
from edge.system.files import Fingerprint
from edge.system.uptime import uptime_s

ALONE_AFTER: Final = 3
"""Starts in a row that found an image examining, after which it is tried alone."""
POISON_AFTER: Final = ALONE_AFTER + 5
"""Such starts after which it is given up; see docs/adr/0004-interrupted-images.md."""
MAX_ATTEMPTS: Final = 2
"""Workers that one image may take down."""

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
    """True if its writer is known to have finished."""
    origin: tuple[Path, Fingerprint] | None = None
    """The place from which it was copied, and is still to be removed."""
    response_topic: str | None = None
    correlation: bytes | None = None
    exam: str | None = None
    """Keyed hash of the exam that its sender, or its folder, says it belongs to."""
    came: float = field(default_factory=uptime_s)
    """Seconds that the machine had run at `received_at`."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A file of the inbox that was copied into the spool, and is still to be removed."""

    claim: str
    """The name of the copy in spool/claimed."""
    path: Path
    fingerprint: Fingerprint
    image_id: str
    """The image that it was when it was copied; empty if the ledger has forgotten that."""
    settled: bool
    """True if its sender was known to have finished, so that it is to go at once."""
    answered: bool
    """True if it has its result."""
    scored: bool
    """True if that is a score."""


@dataclass(frozen=True, slots=True)
class Request:
    """One message that asks for a result."""

    payload: bytes
    """An image, or JSON that names one."""
    response_topic: str | None = None
    """The topic of the answer; None for `result`."""
    correlation: bytes | None = None
    """Goes back with the answer."""
    again: bool = False
    """True if the broker says that it delivered the message before."""
    exam: str | None = None
    """The sender's reference of the exam; that of a request that names a file is in `payload`."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A request that names a file of the inbox, as it waits in the ledger."""

    number: int
    request: Request


@dataclass(frozen=True, slots=True)
class Image:
    """One row of the ledger."""

    image_id: str
    state: State
    generation: int
    attempts: int
    interrupted: int
    postponed: bool
    """True if it waited once for a writer that may not have finished."""
    path: Path
    name: bytes
    received_at: float

    @property
    def alone(self) -> bool:
        """True if nothing else may be in work beside it."""
        return self.interrupted >= ALONE_AFTER

    @property
    def poison(self) -> bool:
        """True if it is given up."""
        return self.attempts >= MAX_ATTEMPTS or self.interrupted >= POISON_AFTER


@dataclass(frozen=True, slots=True)
class Score:
    """The score of an image, as it outlives the result: a row of `scores`."""

    image_id: str
    result_id: str
    bundle_id: str
    model: str
    """SHA-256 of the model file."""
    preprocess: str
    raw: float
    malignant: float
    threshold: float
    domain: str
    view: str | None
    maker: str | None
    machine: str | None
    woman: str | None
    """As `machine`, a keyed HMAC."""
    completed_at: float
    """Unix time, seconds."""


Render: TypeAlias = Callable[[Numbering], bytes]
Readdress: TypeAlias = Callable[[bytes, Numbering], bytes]
"""Makes the new payload from an earlier result of the same outcome, and the new numbering."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The exam that an image belongs to by its header, as keyed hashes; None without such a tag."""

    file: str
    """The model file that scored it."""
    facts: str
    """The entry of that file in the manifest, as JSON."""
    study: str | None = None
    instance: str | None = None
    """Of the SOP Instance UID."""
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class Conclusion:
    """An outcome on its way into the ledger."""

    image_id: str
    result_id: str
    bundle_id: str
    scored: bool
    render: Render
    score: Score | None = None
    """The score as it outlives the result; None of a rejection."""
    exam: Membership | None = None
    """None if its model makes no exams."""


SCORE: Final = ", ".join(field.name for field in fields(Score))
"""The columns of a score."""
COLUMNS: Final = (
    "image_id, state, generation, attempts, interrupted, not_before, path, name, received_at"
)


def find(db: sqlite3.Connection, image_id: str) -> Image | None:
    """Find one image; None if it is not known."""
    row = db.execute(f"SELECT {COLUMNS} FROM images WHERE image_id = ?", (image_id,)).fetchone()
    return image(row) if row else None


def image(row: tuple[str, str, int, int, int, float, bytes, bytes, float]) -> Image:
    """Read a row of COLUMNS."""
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
    """Note the place of an image's bytes."""
    db.execute("UPDATE images SET path = ? WHERE image_id = ?", (os.fsencode(path), image_id))


def note_score(db: sqlite3.Connection, score: Score) -> None:
    """Note the score of an image; the one before it goes."""
    places = ", ".join("?" for _ in fields(Score))
    db.execute(f"INSERT OR REPLACE INTO scores ({SCORE}) VALUES ({places})", astuple(score))


def last_result(db: sqlite3.Connection, image_id: str) -> str | None:
    """Find the newest result id of an image."""
    query = "SELECT result_id FROM outcomes WHERE image_id = ? ORDER BY seq DESC LIMIT 1"
    row = db.execute(query, (image_id,)).fetchone()
    return row[0] if row else None


def payload_of(db: sqlite3.Connection, result_id: str) -> bytes | None:
    """Find the first payload of an outcome."""
    query = "SELECT payload FROM outcomes JOIN results USING (seq) WHERE outcomes.result_id = ?"
    row = db.execute(query, (result_id,)).fetchone()
    return row[0] if row else None


def submit(db: sqlite3.Connection, submission: Submission, claim: str | None) -> int:
    """Record one submission; returns its row id."""
    number = db.execute(
        "INSERT INTO submissions (image_id, source, claim, received_at, settled, "
        "response_topic, correlation, exam) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            submission.image_id,
            submission.source,
            claim,
            submission.received_at,
            submission.settled,
            submission.response_topic,
            submission.correlation,
            submission.exam,
        ),
    ).lastrowid
    if submission.origin is not None:
        path, fingerprint = submission.origin
        # Written further under the same looks: of the two rows only this one is still true.
        replaced = (os.fsencode(path), *fingerprint[2:])
        db.execute("DELETE FROM origins WHERE path = ? AND size = ? AND mtime_ns = ?", replaced)
        db.execute(
            "INSERT INTO origins VALUES (?, ?, ?, ?, ?, ?)",
            (claim, os.fsencode(path), *fingerprint),
        )
    return int(number or 0)


def next_seq(db: sqlite3.Connection) -> int:
    """Give the next sequence number, in the caller's transaction; none is ever reused."""
    row = db.execute(
        "UPDATE meta SET value = value + 1 WHERE key = 'seq' RETURNING CAST(value AS INTEGER)"
    ).fetchone()
    return int(row[0])


def ledger_id(db: sqlite3.Connection) -> str:
    """Read the name of this ledger; a rebuilt one has another."""
    return str(db.execute("SELECT value FROM meta WHERE key = 'ledger_id'").fetchone()[0])
