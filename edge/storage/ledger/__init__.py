"""
The durable state of every image, and the outbox.

It is one SQLite database with a write-ahead log; `synchronous=FULL` holds for all that anyone is
told of.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge.storage.audit import Audit
from edge.storage.ledger.arrivals import Arrivals, recall
from edge.storage.ledger.clock import KEY, Clock
from edge.storage.ledger.database import Database
from edge.storage.ledger.erasure import Erasure
from edge.storage.ledger.exam_queue import ExamQueue
from edge.storage.ledger.exam_rows import ExamRules
from edge.storage.ledger.exam_sinks import DICOM
from edge.storage.ledger.exams import Exams
from edge.storage.ledger.images import Images
from edge.storage.ledger.may_go import OPTIONAL, MayGo
from edge.storage.ledger.origins import Origins
from edge.storage.ledger.outbox import ExamOutbox, Outbox
from edge.storage.ledger.places import Places
from edge.storage.ledger.pruning import Pruning
from edge.storage.ledger.queries import Queries
from edge.storage.ledger.records import Readdress
from edge.storage.ledger.references import References
from edge.storage.ledger.refusals import Refusals
from edge.storage.ledger.requests import Requests
from edge.storage.ledger.restore import Restore
from edge.storage.ledger.results import Results
from edge.storage.ledger.submissions import Submissions
from edge.storage.ledger.turns import Turns
from edge.storage.ledger.verdicts import Verdicts
from edge.storage.pictures import Pictures


class Ledger:
    """
    The open ledger.

    Raises:
        StartupError: see `Database`.
    """

    def __init__(
        self,
        folder: Path,
        sinks: Iterable[str],
        readdress: Readdress,
        exams: ExamRules | None = None,
    ) -> None:
        sinks = tuple(sinks)
        self._database = Database(folder)
        self.audit = Audit(folder)
        with self._database.reading() as db:
            self.arrivals = Arrivals(recall(db, KEY))
        results = Results(sinks, readdress)
        joined = Exams(exams)
        self.exams = ExamQueue(self._database, joined)
        if exams is None:
            self.exams.give_up()
        self.exam_outbox = ExamOutbox(self._database)
        self.exam_reports = ExamOutbox(self._database, DICOM)
        self.submissions = Submissions(self._database, results, joined, self.arrivals)
        self.origins = Origins(self._database)
        self.references = References(self._database)
        self.requests = Requests(self._database, results)
        self.images = Images(self._database, results, joined, self.arrivals)
        self.refusals = Refusals(
            self._database,
            accept=self.submissions.accept_within,
            conclude=self.images.conclude_within,
            settle=self.references.settle_within,
            repeat=self.requests.refused_before_within,
            exams=joined,
            arrivals=self.arrivals,
        )
        self.turns = Turns(self._database)
        self.places = Places(self._database)
        self.outbox = Outbox(self._database)
        self.queries = Queries(self._database.reading)
        self.clock = Clock(self._database)
        self.pictures = Pictures(folder)
        may_go = MayGo(OPTIONAL - set(sinks), None if exams is None else tuple(exams.sinks))
        self.pruning = Pruning(self._database, self.pictures, may_go)
        self.erasure = Erasure(self._database, joined, self.pictures)
        self.verdicts = Verdicts(self._database)
        self.restore = Restore(self._database, results, readdress)

    def close(self) -> None:
        """Close the database and let its folder go."""
        self._database.close()


@contextmanager
def open_ledger(
    folder: Path, sinks: Iterable[str], readdress: Readdress, exams: ExamRules | None = None
) -> Iterator[Ledger]:
    """Open a ledger and close it again."""
    ledger = Ledger(folder, sinks, readdress, exams)
    try:
        yield ledger
    finally:
        ledger.close()
