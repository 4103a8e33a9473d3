"""Requests that name a file of the inbox: recorded as they came, until they are answered."""

from edge.storage.ledger.database import Database
from edge.storage.ledger.records import Reference, Request


class References:
    """The waiting references of a ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def wait(self, request: Request) -> None:
        """Record a request that is to be answered; one that is delivered again waits once."""
        columns = (request.payload, request.response_topic, request.correlation)
        same = "request = ?1 AND response_topic IS ?2 AND correlation IS ?3"
        with self._database.transaction() as db:
            if (
                request.again
                and db.execute(f"SELECT 1 FROM waiting_references WHERE {same}", columns).fetchone()
            ):
                return
            db.execute(
                "INSERT INTO waiting_references (request, response_topic, correlation) "
                "VALUES (?, ?, ?)",
                columns,
            )

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
            db.execute("DELETE FROM waiting_references WHERE id = ?", (reference.number,))
