"""Images and submissions: what came, where it stands, what became of it."""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from edge.ledger.states import Move, State, move
from edge.ledger.store import Store, ledger_id, next_seq

Source: TypeAlias = Literal["folder", "mqtt", "retry"]
Fingerprint: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size and mtime in nanoseconds."""

ALONE_AFTER: Final = 3
"""An image found examining at so many starts in a row is from then on tried alone."""
POISON_AFTER: Final = ALONE_AFTER + 5
"""... and given up after so many: see docs/adr/0004-interrupted-images.md."""
MAX_ATTEMPTS: Final = 2
"""Workers one image may take down."""

REPLY: Final = "reply"
"""The sink of results that go to a requester's response topic only."""


@dataclass(frozen=True, slots=True)
class Arrival:
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


@dataclass(frozen=True, slots=True)
class Numbering:
    """What a result is told by the ledger in the transaction that records it."""

    seq: int
    ledger_id: str
    source: Source
    received_at: float
    supersedes: str | None = None
    duplicate_of: int | None = None


Render: TypeAlias = Callable[[Numbering], bytes]
Readdress: TypeAlias = Callable[[bytes, Numbering], bytes]
"""The payload of an earlier result of the same outcome, and the new numbering -> the new payload."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """An outcome on its way into the ledger."""

    image_id: str
    result_id: str
    bundle_id: str
    scored: bool
    render: Render


_COLUMNS: Final = "image_id, state, generation, attempts, interrupted, not_before, path, name, received_at"


class Images:
    """
    The images of a ledger.

    Args:
        store: the open database.
        sinks: names of the sinks that get every result.
        readdress: makes a known result's payload into another submission's.
    """

    def __init__(self, store: Store, sinks: Iterable[str], readdress: Readdress) -> None:
        self._store = store
        self._sinks = tuple(sinks)
        self._readdress = readdress

    def accept(self, arrival: Arrival, bundle_id: str) -> Path:
        """
        Record a submission; what it needs next (nothing, a worker, an answer) follows from what is known of its bytes.

        Returns:
            Where the image's bytes are: `arrival.path`, or an earlier place, and then `arrival.path` is a spare copy.
        """
        with self._store.transaction() as db:
            claim = arrival.path.name
            if db.execute("SELECT 1 FROM submissions WHERE claim = ?", (claim,)).fetchone():
                return self._path(db, arrival.image_id)  # recorded before a kill
            known = _find(db, arrival.image_id)
            if known is None:
                db.execute(
                    "INSERT INTO images (image_id, state, path, name, received_at) VALUES (?, ?, ?, ?, ?)",
                    (arrival.image_id, State.RECEIVED, os.fsencode(arrival.path), arrival.name, arrival.received_at),
                )
            elif not known.path.exists():
                _set_path(db, arrival.image_id, arrival.path)
            submission = _submit(db, arrival, claim)
            if known is not None and known.state in {State.CONCLUDED, State.ARCHIVED}:
                removed = known.state is State.ARCHIVED and not known.path.exists()  # out of done or failed: it goes there again
                self._answer_or_renew(db, known, submission, bundle_id, removed=removed)
            return self._path(db, arrival.image_id)

    def request_again(self, image_id: str, arrival: Arrival, bundle_id: str) -> bool:
        """Record a submission of bytes that are here already; False where they are not known."""
        with self._store.transaction() as db:
            known = _find(db, image_id)
            if known is None:
                return False
            submission = _submit(db, arrival, None)
            if known.state in {State.CONCLUDED, State.ARCHIVED}:
                self._answer_or_renew(db, known, submission, bundle_id)
            return True

    def retry(self, image_id: str) -> None:
        """Examine a concluded image again, under a new generation and result id."""
        with self._store.transaction() as db:
            move(db, image_id, Move.RENEW)
            db.execute(
                "UPDATE images SET generation = generation + 1, attempts = 0, interrupted = 0, received_at = ? WHERE image_id = ?",
                (time.time(), image_id),
            )
            db.execute(
                "INSERT INTO submissions (image_id, source, received_at, settled) VALUES (?, 'retry', ?, 1)", (image_id, time.time())
            )

    def next_waiting(self) -> Image | None:
        """The image to examine next: those that were interrupted go behind the others."""
        query = f"SELECT {_COLUMNS} FROM images WHERE state = 'received' AND not_before <= ? ORDER BY interrupted, received_at LIMIT 1"
        with self._store.reading() as db:
            row = db.execute(query, (time.time(),)).fetchone()
        return _image(row) if row else None

    def in_state(self, state: State) -> list[Image]:
        """All images in one state, oldest first."""
        query = f"SELECT {_COLUMNS} FROM images WHERE state = ? ORDER BY received_at"
        with self._store.reading() as db:
            return [_image(row) for row in db.execute(query, (state,))]

    def find(self, image_id: str) -> Image | None:
        """One image, or None."""
        with self._store.reading() as db:
            return _find(db, image_id)

    def move(self, image_id: str, what: Move) -> None:
        """DISPATCH, RELEASE or BLAME (counted) one image."""
        with self._store.transaction() as db:
            move(db, image_id, what)
            if what is Move.BLAME:
                db.execute("UPDATE images SET attempts = attempts + 1 WHERE image_id = ?", (image_id,))
            if what is Move.RELEASE:
                db.execute("UPDATE images SET interrupted = 0 WHERE image_id = ?", (image_id,))

    def recover(self) -> int:
        """At start: whatever was examining when the last daemon ended waits again. Returns how many."""
        with self._store.transaction() as db:
            changed = db.execute("UPDATE images SET state = 'received', interrupted = interrupted + 1 WHERE state = 'examining'")
            return changed.rowcount

    def conclude(self, conclusion: Conclusion) -> bytes:
        """Record an outcome, answer every waiting submission, fill the outbox. Returns the outcome's first payload."""
        image_id = conclusion.image_id
        with self._store.transaction() as db:
            move(db, image_id, Move.CONCLUDE)
            db.execute("UPDATE images SET attempts = 0, interrupted = 0, not_before = 0 WHERE image_id = ?", (image_id,))
            waiting = db.execute(
                "SELECT id, source, received_at FROM submissions WHERE image_id = ? AND seq IS NULL ORDER BY id", (image_id,)
            )
            submissions = waiting.fetchall()
            payload = _payload_of(db, conclusion.result_id)
            if payload is None:  # else an earlier bundle was activated again: its answer stands
                first, *submissions = submissions
                numbering = Numbering(next_seq(db), ledger_id(db), first[1], first[2], supersedes=_last_result(db, image_id))
                payload = conclusion.render(numbering)
                db.execute(
                    "INSERT INTO outcomes SELECT ?, image_id, ?, generation, ?, ? FROM images WHERE image_id = ?",
                    (conclusion.result_id, conclusion.bundle_id, conclusion.scored, numbering.seq, image_id),
                )
                self._record(db, numbering.seq, conclusion.result_id, first[0], payload)
            for submission, *_ in submissions:
                self._answer(db, conclusion.result_id, submission)
            return payload

    def postpone(self, image_id: str, until: float) -> bool:
        """
        Let an image whose writer may not have finished wait once, until a Unix time.

        Returns:
            False where it waited before, or its writer is known to have finished.
        """
        with self._store.transaction() as db:
            unsettled = db.execute(
                "SELECT 1 FROM images JOIN submissions USING (image_id) WHERE image_id = ? AND not_before = 0 AND settled = 0", (image_id,)
            ).fetchone()
            if unsettled is None:
                return False
            move(db, image_id, Move.RELEASE)
            db.execute("UPDATE images SET not_before = ? WHERE image_id = ?", (until, image_id))
            return True

    def forget(self, image_id: str) -> None:
        """Drop an image that has no outcome and whose bytes have changed since: its file is taken up anew."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM submissions WHERE image_id = ? AND seq IS NULL", (image_id,))
            db.execute("DELETE FROM images WHERE image_id = ? AND state = 'received'", (image_id,))

    def archived(self, image_id: str, path: Path) -> None:
        """The image's file now lies at `path`, for good."""
        with self._store.transaction() as db:
            move(db, image_id, Move.ARCHIVE)
            _set_path(db, image_id, path)

    def conclusion_of(self, image_id: str) -> tuple[bool, bytes]:
        """Whether the last outcome of an image is a score, and its first payload."""
        query = "SELECT scored, payload FROM outcomes JOIN results USING (seq) WHERE image_id = ? ORDER BY outcomes.seq DESC LIMIT 1"
        with self._store.reading() as db:
            scored, payload = db.execute(query, (image_id,)).fetchone()
        return bool(scored), payload

    def knows_claim(self, claim: str) -> bool:
        """Whether a file in spool/claimed was recorded."""
        with self._store.reading() as db:
            return db.execute("SELECT 1 FROM submissions WHERE claim = ?", (claim,)).fetchone() is not None

    def owns(self, path: Path) -> bool:
        """Whether an image's bytes are at this path."""
        with self._store.reading() as db:
            return db.execute("SELECT 1 FROM images WHERE path = ?", (os.fsencode(path),)).fetchone() is not None

    def origins(self) -> list[tuple[str, Path, Fingerprint]]:
        """Files that were copied into the spool and are still to be removed where they came from."""
        with self._store.reading() as db:
            rows = db.execute("SELECT claim, path, device, inode, size, mtime_ns FROM origins").fetchall()
        return [(claim, Path(os.fsdecode(path)), tuple(rest)) for claim, path, *rest in rows]

    def origin_removed(self, claim: str) -> None:
        """The original of a copied file is gone."""
        with self._store.transaction() as db:
            db.execute("DELETE FROM origins WHERE claim = ?", (claim,))

    def _answer_or_renew(self, db: sqlite3.Connection, known: Image, submission: int, bundle_id: str, *, removed: bool = False) -> None:
        row = db.execute(
            "SELECT result_id FROM outcomes WHERE image_id = ? AND bundle_id = ? AND generation = ?",
            (known.image_id, bundle_id, known.generation),
        ).fetchone()
        if row is None or removed:
            move(db, known.image_id, Move.RENEW)
            arrived = "SELECT received_at FROM submissions WHERE id = ?"
            db.execute(f"UPDATE images SET received_at = ({arrived}) WHERE image_id = ?", (submission, known.image_id))
        else:
            self._answer(db, row[0], submission)

    def _answer(self, db: sqlite3.Connection, result_id: str, submission: int) -> None:
        query = "SELECT outcomes.seq, payload FROM outcomes JOIN results USING (seq) WHERE outcomes.result_id = ?"
        first, payload = db.execute(query, (result_id,)).fetchone()
        source, received_at = db.execute("SELECT source, received_at FROM submissions WHERE id = ?", (submission,)).fetchone()
        seq = next_seq(db)
        numbering = Numbering(seq, ledger_id(db), source, received_at, duplicate_of=first)
        self._record(db, seq, result_id, submission, self._readdress(payload, numbering))

    def _record(self, db: sqlite3.Connection, seq: int, result_id: str, submission: int, payload: bytes) -> None:
        db.execute("INSERT INTO results VALUES (?, ?, ?, ?, ?)", (seq, result_id, submission, time.time(), payload))
        db.execute("UPDATE submissions SET seq = ? WHERE id = ?", (seq, submission))
        topic = db.execute("SELECT response_topic FROM submissions WHERE id = ?", (submission,)).fetchone()[0]
        sinks = self._sinks if topic is None else (REPLY, *(sink for sink in self._sinks if sink != "mqtt"))
        db.executemany("INSERT INTO outbox (seq, sink) VALUES (?, ?)", [(seq, sink) for sink in sinks])

    @staticmethod
    def _path(db: sqlite3.Connection, image_id: str) -> Path:
        return Path(os.fsdecode(db.execute("SELECT path FROM images WHERE image_id = ?", (image_id,)).fetchone()[0]))


def _find(db: sqlite3.Connection, image_id: str) -> Image | None:
    row = db.execute(f"SELECT {_COLUMNS} FROM images WHERE image_id = ?", (image_id,)).fetchone()
    return _image(row) if row else None


def _image(row: tuple[str, str, int, int, int, float, bytes, bytes, float]) -> Image:
    image_id, state, generation, attempts, interrupted, not_before, path, name, received_at = row
    return Image(image_id, State(state), generation, attempts, interrupted, not_before > 0, Path(os.fsdecode(path)), name, received_at)


def _set_path(db: sqlite3.Connection, image_id: str, path: Path) -> None:
    db.execute("UPDATE images SET path = ? WHERE image_id = ?", (os.fsencode(path), image_id))


def _last_result(db: sqlite3.Connection, image_id: str) -> str | None:
    row = db.execute("SELECT result_id FROM outcomes WHERE image_id = ? ORDER BY seq DESC LIMIT 1", (image_id,)).fetchone()
    return row[0] if row else None


def _payload_of(db: sqlite3.Connection, result_id: str) -> bytes | None:
    row = db.execute("SELECT payload FROM outcomes JOIN results USING (seq) WHERE outcomes.result_id = ?", (result_id,)).fetchone()
    return row[0] if row else None


def _submit(db: sqlite3.Connection, arrival: Arrival, claim: str | None) -> int:
    submission = db.execute(
        "INSERT INTO submissions (image_id, source, claim, received_at, settled, response_topic, correlation) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (arrival.image_id, arrival.source, claim, arrival.received_at, arrival.settled, arrival.response_topic, arrival.correlation),
    ).lastrowid
    if arrival.origin is not None:
        path, fingerprint = arrival.origin
        db.execute("INSERT INTO origins VALUES (?, ?, ?, ?, ?, ?)", (claim, os.fsencode(path), *fingerprint))
    return int(submission or 0)
