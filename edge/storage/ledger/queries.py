"""Questions a person or a program asks; they work beside a running daemon too."""

import json
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

from edge.storage.ledger.exam_sinks import TABLES
from edge.storage.ledger.readonly import open_readonly
from edge.storage.ledger.records import ledger_id, payload_of

Reading: TypeAlias = Callable[[], AbstractContextManager[sqlite3.Connection]]

PAGE: Final = 100
SEQ_DIGITS: Final = 18
"""The most digits of a sequence number that SQLite can hold for sure."""

NAMES: Final = (
    ("images", "image_id"),
    ("outcomes", "result_id"),
    ("scores", "image_id"),
    ("scores", "result_id"),
    ("verdicts", "image_id"),
    ("verdicts", "result_id"),
)
"""Tables and columns with ids of images and results; scores and verdicts outlive the others."""
OF_EXAMS: Final = ("exam_scores", "exam_verdicts")
"""Tables of which a row names all images of an exam, and may be the last to do so."""


@dataclass(frozen=True, slots=True)
class Told:
    """A result, and the sinks that have not taken it."""

    payload: bytes
    """JSON, as it is published."""
    waits_for: frozenset[str]


class Queries:
    """Read-only views of a ledger."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def summary(self) -> dict[str, Any]:
        """
        Count images by state and results, and give the age of the oldest waiting image in seconds.
        """
        with self._reading() as db:
            states = dict(
                db.execute("SELECT state, count(*) FROM images GROUP BY state").fetchall()
            )
            oldest = db.execute(
                "SELECT min(received_at) FROM images WHERE state IN ('received', 'examining')"
            ).fetchone()[0]
            scored, rejected = db.execute(
                "SELECT coalesce(sum(scored), 0), count(*) - coalesce(sum(scored), 0) FROM outcomes"
            ).fetchone()
            return {
                "ledger_id": ledger_id(db),
                "waiting": states.get("received", 0),
                "examining": states.get("examining", 0),
                "to_archive": states.get("concluded", 0),
                "archived": states.get("archived", 0),
                "oldest_waiting_s": _age(oldest),
                "scored": scored,
                "rejected": rejected,
                "oldest_undelivered_s": _age(
                    db.execute(
                        "SELECT min(completed_at) FROM outbox JOIN results USING (seq)"
                    ).fetchone()[0]
                ),
                "last_seq": int(
                    db.execute("SELECT value FROM meta WHERE key = 'seq'").fetchone()[0]
                ),
            }

    def ledger_id(self) -> str:
        """Read the name of this ledger; a rebuilt one has another."""
        with self._reading() as db:
            return ledger_id(db)

    def waiting(self) -> int:
        """Count the images that wait for a worker."""
        with self._reading() as db:
            return int(
                db.execute("SELECT count(*) FROM images WHERE state = 'received'").fetchone()[0]
            )

    def waiting_in(self, folder: Path, most: int) -> int:
        """Count the images that wait for a worker and lie in a folder, `most` at most."""
        place = os.fsencode(folder) + b"/"
        query = (
            "SELECT count(*) FROM (SELECT 1 FROM images WHERE state = 'received' "
            "AND substr(path, 1, length(?1)) = ?1 LIMIT ?2)"
        )
        with self._reading() as db:
            return int(db.execute(query, (place, most)).fetchone()[0])

    def results(
        self, after: int = 0, since: float = 0.0, limit: int = -1, *, exams: bool = False
    ) -> list[bytes]:
        """
        List published payloads in order.

        Args:
            after: only results with a larger sequence number.
            since: only results completed at or after this Unix time.
            limit: at most so many, the newest; -1 for all.
            exams: true for those of exams, by their own numbers.
        """
        newest = (
            f"SELECT seq, payload FROM {_table(exams=exams)} WHERE seq > ? AND "
            "completed_at >= ? ORDER BY seq DESC LIMIT ?"
        )
        with self._reading() as db:
            return [
                row[0]
                for row in db.execute(
                    f"SELECT payload FROM ({newest}) ORDER BY seq", (after, since, limit)
                )
            ]

    def each_result(
        self, after: int = 0, since: float = 0.0, *, exams: bool = False
    ) -> Iterator[bytes]:
        """Yield published payloads in order, a few in memory at a time however many there are."""
        query = (
            f"SELECT seq, payload FROM {_table(exams=exams)} WHERE seq > ? AND "
            "completed_at >= ? ORDER BY seq LIMIT ?"
        )
        while True:
            with self._reading() as db:
                page = db.execute(query, (after, since, PAGE)).fetchall()
            yield from (payload for _, payload in page)
            if len(page) < PAGE:
                return
            after = page[-1][0]

    def rejected(self, since: float, reason: str = "") -> list[str]:
        """
        List the ids of images that are rejected as things stand.

        Args:
            since: only those whose result was completed at or after this Unix time.
            reason: only those rejected for a reason that begins so.
        """
        query = (
            "SELECT images.image_id, payload FROM images JOIN outcomes USING (result_id) "
            "JOIN results USING (seq) WHERE state = 'archived' AND scored = 0 AND "
            "completed_at >= ? ORDER BY seq"
        )
        with self._reading() as db:
            rows = db.execute(query, (since,)).fetchall()
        return [
            image_id
            for image_id, payload in rows
            if any(why.startswith(reason) for why in json.loads(payload)["gate"]["reasons"])
        ]

    def image_ids(self, prefix: str) -> list[str]:
        """List the ids of images whose id, or the id of a result or score of theirs, begins so."""
        queries = (
            f"SELECT image_id FROM {table} WHERE substr({key}, 1, length(?1)) = ?1"
            for table, key in NAMES
        )
        with self._reading() as db:
            found = {row[0] for row in db.execute(" UNION ".join(queries), (prefix,))}
            for table in OF_EXAMS:
                rows = db.execute(f"SELECT images FROM {table} WHERE instr(images, ?)", (prefix,))
                found |= {one for row in rows for one in row[0].split() if one.startswith(prefix)}
        return sorted(found)

    def told(self, image_id: str) -> Told | None:
        """Read the newest result of an image; None if there is none yet."""
        newest = (
            "SELECT results.seq, payload FROM outcomes JOIN results USING (result_id) "
            "WHERE image_id = ? ORDER BY results.seq DESC LIMIT 1"
        )
        with self._reading() as db:
            row = db.execute(newest, (image_id,)).fetchone()
            if row is None:
                return None
            sinks = db.execute("SELECT sink FROM outbox WHERE seq = ?", (row[0],)).fetchall()
            return Told(row[1], frozenset(sink for (sink,) in sinks))

    def result(self, result_id: str) -> bytes | None:
        """Read the first payload of an image's outcome, or of an exam's revision; None if gone."""
        of_exam = "SELECT payload FROM exam_results WHERE result_id = ?"
        with self._reading() as db:
            found = payload_of(db, result_id)
            row = None if found is not None else db.execute(of_exam, (result_id,)).fetchone()
            return row[0] if row else found

    def unserved(self, sinks: Collection[str], exam_sinks: Collection[str]) -> dict[str, int]:
        """
        Count what waits for sinks that are not configured any more, by sink.

        Args:
            sinks: those that take results of images.
            exam_sinks: those that take results of exams.
        """
        left: Counter[str] = Counter()
        with self._reading() as db:
            for sink, count in db.execute("SELECT sink, count(*) FROM outbox GROUP BY sink"):
                left[sink] += 0 if sink in sinks else count
            for sink, table in TABLES.items():
                (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
                left[sink] += 0 if sink in exam_sinks else count
        return {sink: count for sink, count in left.items() if count}


def _table(*, exams: bool) -> str:
    return "exam_results" if exams else "results"


def parse_since(value: object) -> tuple[int, float]:
    """
    Read a sequence number or a time, as people and programs give it.

    Returns:
        The sequence number and a Unix time, one of them 0.

    Raises:
        ValueError: it is neither.
    """
    text = str(value).strip()
    if text.isascii() and text.isdigit() and len(text) <= SEQ_DIGITS:
        return int(text), 0.0
    try:  # without a zone: local time, as people type it
        return 0, datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        msg = (
            f"since: found {text!r}, expected a sequence number or a time such as 2026-01-31T08:00"
        )
        raise ValueError(msg) from None


def _age(since: float | None) -> float | None:
    return max(0.0, round(time.time() - since, 1)) if since else None


@contextmanager
def open_queries(folder: Path) -> Iterator[Queries]:
    """
    Look into the ledger of a daemon that may be running.

    Raises:
        StartupError: there is none.
    """
    with open_readonly(folder) as db:

        @contextmanager
        def reading() -> Iterator[sqlite3.Connection]:
            yield db

        yield Queries(reading)
