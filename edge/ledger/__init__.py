"""Durable state of every image, and the outbox: SQLite, write-ahead log, synchronous=FULL."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.ledger.answers import Answers
from edge.ledger.arrivals import Arrivals
from edge.ledger.images import Images
from edge.ledger.outbox import Outbox
from edge.ledger.pruning import Pruning
from edge.ledger.queries import Queries
from edge.ledger.recovery import Recovery
from edge.ledger.rows import Readdress
from edge.ledger.store import Store


class Ledger:
    """
    The open ledger.

    Raises:
        StartupError: see Store.
    """

    def __init__(self, folder: Path, sinks: Iterable[str], readdress: Readdress) -> None:
        self._store = Store(folder)
        answers = Answers(sinks, readdress)
        self.arrivals = Arrivals(self._store, answers)
        self.images = Images(self._store, answers)
        self.outbox = Outbox(self._store)
        self.queries = Queries(self._store.reading)
        self.pruning = Pruning(self._store)
        self.recovery = Recovery(self._store, answers, readdress)

    def close(self) -> None:
        """Close the database and let its folder go."""
        self._store.close()


@contextmanager
def open_ledger(folder: Path, sinks: Iterable[str], readdress: Readdress) -> Iterator[Ledger]:
    """Open a ledger and close it again."""
    ledger = Ledger(folder, sinks, readdress)
    try:
        yield ledger
    finally:
        ledger.close()
