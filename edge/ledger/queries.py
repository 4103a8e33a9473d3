"""Questions a person or a program asks; they work beside a running daemon too."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from edge.ledger.store import ledger_id, open_readonly

Reading: TypeAlias = Callable[[], AbstractContextManager[sqlite3.Connection]]


class Queries:
    """Read-only views of a ledger."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def summary(self) -> dict[str, Any]:
        """Images by state, submissions, results, age of the oldest waiting image in seconds."""
        with self._reading() as db:
            states = dict(db.execute("SELECT state, count(*) FROM images GROUP BY state").fetchall())
            oldest = db.execute("SELECT min(received_at) FROM images WHERE state IN ('received', 'examining')").fetchone()[0]
            scored, rejected = db.execute("SELECT coalesce(sum(scored), 0), count(*) - coalesce(sum(scored), 0) FROM outcomes").fetchone()
            return {
                "ledger_id": ledger_id(db),
                "waiting": states.get("received", 0),
                "examining": states.get("examining", 0),
                "to_archive": states.get("concluded", 0),
                "archived": states.get("archived", 0),
                "oldest_waiting_s": max(0.0, round(time.time() - oldest, 1)) if oldest else None,
                "scored": scored,
                "rejected": rejected,
                "last_seq": db.execute("SELECT coalesce(max(seq), 0) FROM results").fetchone()[0],
            }

    def waiting(self) -> int:
        """Images that wait for a worker."""
        with self._reading() as db:
            return int(db.execute("SELECT count(*) FROM images WHERE state = 'received'").fetchone()[0])

    def results(self, after: int = 0, since: float = 0.0, limit: int = -1) -> list[bytes]:
        """
        Published payloads in order.

        Args:
            after: only results with a larger sequence number.
            since: only results completed at or after this Unix time.
            limit: at most so many, the newest; -1 for all.
        """
        newest = "SELECT seq, payload FROM results WHERE seq > ? AND completed_at >= ? ORDER BY seq DESC LIMIT ?"
        with self._reading() as db:
            return [row[0] for row in db.execute(f"SELECT payload FROM ({newest}) ORDER BY seq", (after, since, limit))]

    def image_ids(self, prefix: str) -> list[str]:
        """Image ids that begin so, or the image of the result id that does: how people name things on a command line."""
        with self._reading() as db:
            by_image = "SELECT image_id FROM images WHERE substr(image_id, 1, length(?1)) = ?1"
            by_result = "SELECT image_id FROM outcomes WHERE substr(result_id, 1, length(?1)) = ?1"
            return sorted({row[0] for row in db.execute(f"{by_image} UNION {by_result}", (prefix,))})

    def sinks(self) -> dict[str, int]:
        """Undelivered rows by sink, those of sinks that are no longer configured included."""
        with self._reading() as db:
            return dict(db.execute("SELECT sink, count(*) FROM outbox GROUP BY sink").fetchall())


@contextmanager
def open_queries(folder: Path) -> Iterator[Queries]:
    """
    Look into the ledger of a daemon that may be running.

    Raises:
        StartupError: there is none.
    """
    db = open_readonly(folder)

    @contextmanager
    def reading() -> Iterator[sqlite3.Connection]:
        yield db

    try:
        yield Queries(reading)
    finally:
        db.close()
