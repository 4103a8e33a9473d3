"""The results that are still to be delivered, sink by sink."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from edge.storage.ledger.database import Database
from edge.storage.ledger.exam_sinks import EXAM, TABLES
from edge.storage.ledger.records import REPLY

HUNG_UP: Final = "the broker hung up on it"
"""The reason of a delivery that is held because the broker ends the connection at it."""
RESTING: Final = f"""SELECT response_topic FROM outbox JOIN results USING (seq)
    JOIN submissions ON submissions.id = results.submission
    WHERE sink = '{REPLY}' AND held = '{HUNG_UP}' AND response_topic IS NOT NULL"""
"""The response topics at which the broker hung up."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One result on its way to one sink."""

    seq: int
    sink: str
    payload: bytes
    response_topic: str | None
    correlation: bytes | None
    held: str | None = None
    """The reason for which it is held; None if it is still to be sent."""


class Outbox:
    """The outbox of a ledger: a row is deleted only when its sink has taken it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._on_their_way = threading.Lock()

    def pending(self, sinks: Sequence[str], limit: int = 16) -> list[Delivery]:
        """
        List the next deliveries of these sinks by their sequence numbers, without held ones.

        A response topic at which the broker hung up rests with all its replies.
        """
        marks = ", ".join("?" * len(sinks))
        return self._list(
            f"held IS NULL AND sink IN ({marks}) AND (sink != '{REPLY}' OR response_topic IS NULL "
            f"OR response_topic NOT IN ({RESTING})) ORDER BY outbox.seq LIMIT ?",
            (*sinks, limit),
        )

    def stuck_replies(self) -> list[Delivery]:
        """List the replies that are held or whose topic rests, without their payloads."""
        return self._list(
            f"sink = '{REPLY}' AND (held IS NOT NULL OR response_topic IN ({RESTING})) "
            "ORDER BY outbox.seq",
            payload="x''",
        )

    def _list(
        self, which: str, values: tuple[object, ...] = (), payload: str = "payload"
    ) -> list[Delivery]:
        query = (
            f"SELECT outbox.seq, sink, {payload}, response_topic, "
            "correlation, held FROM outbox JOIN results USING (seq)"
            f" JOIN submissions ON submissions.id = results.submission WHERE {which}"
        )
        with self._database.reading() as db:
            return [Delivery(*row) for row in db.execute(query, values)]

    def has(self, image_id: str) -> bool:
        """Tell if a result of an image is still to be delivered."""
        of_image = "results.submission IN (SELECT id FROM submissions WHERE image_id = ?)"
        query = f"SELECT 1 FROM outbox JOIN results USING (seq) WHERE {of_image} LIMIT 1"
        with self._database.reading() as db:
            return db.execute(query, (image_id,)).fetchone() is not None

    @contextmanager
    def wanted(self, delivery: Delivery) -> Iterator[bool]:
        """Tell if a delivery is still to be made; `await_those_on_their_way` waits for the end."""
        which, values = "outbox.seq = ? AND sink = ?", (delivery.seq, delivery.sink)
        with self._on_their_way:
            yield bool(self._list(which, values, payload="x''"))

    def await_those_on_their_way(self) -> None:
        """Wait until nobody makes a delivery whose row may have been erased."""
        with self._on_their_way:
            return

    def delivered(self, delivery: Delivery) -> None:
        """
        Forget a delivery that the sink has, or that is given up; the result is kept.

        After a power cut it may be sent once more.
        """
        with self._database.transaction(synced=False) as db:
            db.execute(
                "DELETE FROM outbox WHERE seq = ? AND sink = ?", (delivery.seq, delivery.sink)
            )

    def hold(self, delivery: Delivery, why: str) -> None:
        """Keep a delivery that the sink refused, and go on with the next."""
        with self._database.transaction() as db:
            db.execute(
                "UPDATE outbox SET held = ? WHERE seq = ? AND sink = ?",
                (why, delivery.seq, delivery.sink),
            )

    def release_held(self, sinks: Sequence[str], but: str = "") -> None:
        """Try again what was refused, except what is held for the reason `but`."""
        marks = ", ".join("?" * len(sinks))
        with self._database.transaction() as db:
            db.execute(
                f"UPDATE outbox SET held = NULL WHERE held != ? AND sink IN ({marks})",
                (but, *sinks),
            )

    def release(self, seq: int, sinks: Sequence[str]) -> None:
        """Try one held delivery again."""
        marks = ", ".join("?" * len(sinks))
        with self._database.transaction(synced=False) as db:
            query = f"UPDATE outbox SET held = NULL WHERE seq = ? AND sink IN ({marks})"
            db.execute(query, (seq, *sinks))

    def replay(self, sink: str, after: int, since: float, limit: int) -> tuple[int, int]:
        """
        Put results into the outbox again, byte for byte, if they went to no response topic.

        Args:
            sink: gets them.
            after: only results with a larger sequence number.
            since: only results completed at or after this Unix time.
            limit: at most so many, the oldest.

        Returns:
            Their number, and the last one's sequence number, which is 0 for none.
        """
        of_everyone = (
            "FROM results JOIN submissions ON submissions.id = "
            "submission WHERE response_topic IS NULL"
        )
        with self._database.transaction() as db:
            query = (
                f"SELECT results.seq {of_everyone} AND results.seq > ? AND "
                "completed_at >= ? ORDER BY results.seq LIMIT ?"
            )
            found = [seq for (seq,) in db.execute(query, (after, since, limit))]
            db.executemany(
                "INSERT OR IGNORE INTO outbox (seq, sink) VALUES (?, ?)",
                [(seq, sink) for seq in found],
            )
        return len(found), max(found, default=0)

    def held_numbers(self, sinks: Sequence[str], but: str = "") -> list[int]:
        """List the numbers of what is held for these sinks, except for the reason `but`."""
        marks = ", ".join("?" * len(sinks))
        query = f"SELECT seq FROM outbox WHERE held != ? AND sink IN ({marks}) ORDER BY seq"
        with self._database.reading() as db:
            return [seq for (seq,) in db.execute(query, (but, *sinks))]

    def held(self, sinks: Sequence[str]) -> int:
        """Count the held deliveries of these sinks."""
        counts = self.counts()
        return sum(counts[sink]["held"] for sink in sinks if sink in counts)

    def counts(self) -> dict[str, dict[str, int]]:
        """Count waiting and held deliveries by sink."""
        query = "SELECT sink, count(*), count(held) FROM outbox GROUP BY sink"
        with self._database.reading() as db:
            return {
                sink: {"waiting": total - held, "held": held}
                for sink, total, held in db.execute(query)
            }


class ExamOutbox:
    """
    The exam results for one sink, with the methods of `Outbox`; a row goes only when it has them.

    Args:
        database: of the ledger.
        sink: EXAM or DICOM.
    """

    def __init__(self, database: Database, sink: str = EXAM) -> None:
        self._database = database
        self._sink = sink
        self._table = TABLES[sink]

    def pending(self, _sinks: Sequence[str], limit: int = 16) -> list[Delivery]:
        """List the next deliveries by their numbers, without held ones."""
        query = (
            f"SELECT seq, payload FROM {self._table} JOIN exam_results USING (seq) "
            "WHERE held IS NULL ORDER BY seq LIMIT ?"
        )
        with self._database.reading() as db:
            return [
                Delivery(seq, self._sink, payload, None, None)
                for seq, payload in db.execute(query, (limit,))
            ]

    def delivered(self, delivery: Delivery) -> None:
        """Forget a delivery that the sink has; after a power cut it may be sent once more."""
        with self._database.transaction(synced=False) as db:
            db.execute(f"DELETE FROM {self._table} WHERE seq = ?", (delivery.seq,))

    def hold(self, delivery: Delivery, why: str) -> None:
        """Keep a delivery that the sink refused, and go on with the next."""
        with self._database.transaction() as db:
            db.execute(f"UPDATE {self._table} SET held = ? WHERE seq = ?", (why, delivery.seq))

    def release(self, seq: int, _sinks: Sequence[str]) -> None:
        """Try one held delivery again."""
        with self._database.transaction(synced=False) as db:
            db.execute(f"UPDATE {self._table} SET held = NULL WHERE seq = ?", (seq,))

    def held_numbers(self, _sinks: Sequence[str], but: str = "") -> list[int]:
        """List the numbers of what is held, except for the reason `but`."""
        query = f"SELECT seq FROM {self._table} WHERE held != ? ORDER BY seq"
        with self._database.reading() as db:
            return [seq for (seq,) in db.execute(query, (but,))]

    def held(self, _sinks: Sequence[str]) -> int:
        """Count the held deliveries."""
        return self._count()["held"]

    def counts(self) -> dict[str, dict[str, int]]:
        """Count waiting and held deliveries; empty if there is none."""
        counted = self._count()
        return {self._sink: counted} if any(counted.values()) else {}

    def _count(self) -> dict[str, int]:
        with self._database.reading() as db:
            query = f"SELECT count(*), count(held) FROM {self._table}"
            total, held = db.execute(query).fetchone()
        return {"waiting": total - held, "held": held}

    def replay(self, after: int, since: float, limit: int) -> tuple[int, int]:
        """
        Put exam results into the outbox again, byte for byte.

        Args:
            after: only those with a larger sequence number.
            since: only those completed at or after this Unix time.
            limit: at most so many, the oldest.

        Returns:
            Their number, and the last one's sequence number, which is 0 for none.
        """
        query = (
            "SELECT seq FROM exam_results WHERE seq > ? AND completed_at >= ? ORDER BY seq LIMIT ?"
        )
        with self._database.transaction() as db:
            found = [seq for (seq,) in db.execute(query, (after, since, limit))]
            again = f"INSERT OR IGNORE INTO {self._table} (seq) VALUES (?)"
            db.executemany(again, [(seq,) for seq in found])
        return len(found), max(found, default=0)
