"""
Durable state of every image, and the outbox: SQLite, write-ahead log, synchronous=FULL for all that
anyone is told of.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.storage.ledger.database import Store
from edge.storage.ledger.images import Images
from edge.storage.ledger.outbox import Outbox
from edge.storage.ledger.pruning import Pruning
from edge.storage.ledger.queries import Queries
from edge.storage.ledger.records import Readdress
from edge.storage.ledger.restore import Recovery
from edge.storage.ledger.results import Answers
from edge.storage.ledger.submissions import Arrivals


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
