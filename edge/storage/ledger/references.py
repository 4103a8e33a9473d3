"""Requests that name a file of the inbox: recorded as they came, until they are answered."""

import sqlite3
from typing import Final

from edge.storage.ledger.database import Database
from edge.storage.ledger.records import Reference, Request

SAME: Final = "request = ? AND response_topic IS ? AND correlation IS ?"
"""Tells a request by `_columns`."""


class References:
    """The waiting references of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def wait(self, request: Request) -> None:
        """Record a request that is to be answered; one that is delivered again waits once."""
        with self._database.transaction() as db:
            if not (request.again and _waits(db, request)):
                db.execute(
                    "INSERT INTO waiting_references (request, response_topic, correlation) "
                    "VALUES (?, ?, ?)",
                    _columns(request),
                )

    def waits(self, request: Request) -> bool:
        """Tell if such a request waits already."""
        with self._database.reading() as db:
            return _waits(db, request)

    def waiting(self) -> list[Reference]:
        """List the requests that wait, in the order in which they came."""
        query = (
            "SELECT id, request, response_topic, correlation FROM waiting_references ORDER BY id"
        )
        with self._database.reading() as db:
            return [
                Reference(number, Request(payload, topic, correlation))
                for number, payload, topic, correlation in db.execute(query)
            ]

    def count(self) -> int:
        """Count the requests that wait."""
        with self._database.reading() as db:
            return int(db.execute("SELECT count(*) FROM waiting_references").fetchone()[0])

    def settled(self, reference: Reference) -> None:
        """Forget a request that has its answer, or needs none; after a power cut it may be back."""
        with self._database.transaction(synced=False) as db:
            self.settle_within(db, reference)

    def settle_within(self, db: sqlite3.Connection, reference: Reference) -> bool:
        """Forget a request, inside the caller's transaction; False if it waits no longer."""
        # A number that is free again may be another request's by now.
        query = f"DELETE FROM waiting_references WHERE id = ? AND {SAME}"
        return db.execute(query, (reference.number, *_columns(reference.request))).rowcount > 0


def _columns(request: Request) -> tuple[bytes, str | None, bytes | None]:
    return request.payload, request.response_topic, request.correlation


def _waits(db: sqlite3.Connection, request: Request) -> bool:
    query = f"SELECT 1 FROM waiting_references WHERE {SAME}"
    return db.execute(query, _columns(request)).fetchone() is not None
