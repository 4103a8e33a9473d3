"""Results: each submission gets one of its own, with the next sequence number."""

import sqlite3
import time
from collections.abc import Iterable

from edge.domain import Numbering
from edge.storage.ledger.records import REPLY, Readdress, ledger_id, next_seq
from edge.storage.ledger.schema import crc32


class Results:
    """
    Writes results, inside the caller's transaction.

    Args:
        sinks: names of the sinks that get every result.
        readdress: makes a known result's payload into another submission's.
    """

    def __init__(self, sinks: Iterable[str], readdress: Readdress) -> None:
        self._sinks = tuple(sinks)
        self._readdress = readdress

    def repeat(self, db: sqlite3.Connection, result_id: str, number: int) -> None:
        """Answer a submission with an outcome that is there already."""
        query = (
            "SELECT outcomes.seq, payload FROM outcomes JOIN results "
            "USING (seq) WHERE outcomes.result_id = ?"
        )
        first, payload = db.execute(query, (result_id,)).fetchone()
        source, received_at = db.execute(
            "SELECT source, received_at FROM submissions WHERE id = ?", (number,)
        ).fetchone()
        seq = next_seq(db)
        numbering = Numbering(seq, ledger_id(db), source, received_at, duplicate_of=first)
        self.record(db, seq, result_id, number, self._readdress(payload, numbering))

    def record(
        self, db: sqlite3.Connection, seq: int, result_id: str, number: int, payload: bytes
    ) -> None:
        """Record the result of one submission and who gets it."""
        db.execute(
            "INSERT INTO results (seq, result_id, submission, completed_at, "
            "payload, crc32) VALUES (?, ?, ?, ?, ?, ?)",
            (seq, result_id, number, time.time(), payload, crc32(payload)),
        )
        db.execute("UPDATE submissions SET seq = ? WHERE id = ?", (seq, number))
        topic = db.execute(
            "SELECT response_topic FROM submissions WHERE id = ?", (number,)
        ).fetchone()[0]
        sinks = (
            self._sinks
            if topic is None
            else (REPLY, *(sink for sink in self._sinks if sink != "mqtt"))
        )
        db.executemany(
            "INSERT INTO outbox (seq, sink) VALUES (?, ?)", [(seq, sink) for sink in sinks]
        )
