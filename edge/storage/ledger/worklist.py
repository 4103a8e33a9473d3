"""Questions of the page for browsers, and of `mammo-edge status`: from a few rows, or days."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.domain import Domain
from edge.storage.ledger.readonly import open_readonly

ROW: Final = (
    "results.seq, results.payload, images.name FROM results "
    "JOIN submissions ON submissions.id = results.submission "
    "JOIN images ON images.image_id = submissions.image_id"
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An image without an outcome."""

    image_id: str
    name: bytes
    """The sender's name for its file."""
    received_at: float
    """Unix time in seconds."""
    examining: bool
    """True if a worker has it."""


@dataclass(frozen=True, slots=True)
class Queue:
    """Counts of images without an outcome."""

    waiting: int
    examining: int
    oldest: float | None
    """Unix time at which the oldest of them came."""


@dataclass(frozen=True, slots=True)
class Published:
    """A result, and the name of the file that it is of."""

    seq: int
    payload: bytes
    name: bytes


@dataclass(frozen=True, slots=True)
class Scored:
    """The model that gave a score, and the threshold that it decided with."""

    bundle_id: str
    model: str
    """SHA-256 of the model file."""
    domain: Domain
    threshold: float


@dataclass(frozen=True, slots=True)
class Day:
    """Counts of one day, in local time."""

    day: str
    """YYYY-MM-DD."""
    scored: int
    rejected: int


@dataclass(frozen=True, slots=True)
class DayOfScores:
    """The scores of one day, in local time."""

    day: str
    images: int
    mean: float


class Worklist:
    """
    Read-only views of a ledger.

    Args:
        db: an open ledger.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def version(self) -> str:
        """Return a text that changes with each result and each image that comes or is taken."""
        query = (
            "SELECT (SELECT group_concat(key || '=' || value) FROM meta WHERE key IN "
            "('ledger_id', 'seq', 'exam_seq')), (SELECT group_concat(state || '=' || number) FROM "
            "(SELECT state, count(*) AS number FROM images WHERE state IN "
            "('received', 'examining') GROUP BY state))"
        )
        return " ".join(str(part) for part in self._db.execute(query).fetchone())

    def queue(self) -> Queue:
        """Count images without an outcome."""
        query = (
            "SELECT coalesce(sum(state = 'received'), 0), coalesce(sum(state = 'examining'), 0), "
            "min(received_at) FROM images WHERE state IN ('received', 'examining')"
        )
        return Queue(*self._db.execute(query).fetchone())

    def waiting(self, limit: int) -> list[Waiting]:
        """List images without an outcome, those in work first, then the oldest first."""
        query = (
            "SELECT image_id, name, received_at, state = 'examining' FROM images "
            "WHERE state IN ('received', 'examining') ORDER BY 4 DESC, received_at LIMIT ?"
        )
        rows = self._db.execute(query, (limit,)).fetchall()
        return [Waiting(image_id, name, at, bool(busy)) for image_id, name, at, busy in rows]

    def results(self, before: int | None, limit: int) -> list[Published]:
        """List results, the newest first, below a sequence number if there is one."""
        query = f"SELECT {ROW} WHERE results.seq < ? ORDER BY results.seq DESC LIMIT ?"
        top = 2**63 - 1 if before is None else before
        return [Published(*row) for row in self._db.execute(query, (top, limit)).fetchall()]

    def result(self, result_id: str) -> Published | None:
        """Return the first result of an outcome."""
        query = f"SELECT {ROW} WHERE results.result_id = ? ORDER BY results.seq LIMIT 1"
        row = self._db.execute(query, (result_id,)).fetchone()
        return None if row is None else Published(*row)

    def exams(self, before: int | None, limit: int) -> list[bytes]:
        """List the last revision of each exam, the newest first, below a number if there is one."""
        query = (
            "SELECT exam_results.payload FROM exam_results JOIN exams "
            "ON exams.exam = exam_results.exam "  # by the index; that of result_id there is not
            "WHERE exams.result_id = exam_results.result_id AND "
            "exam_results.seq < ? ORDER BY exam_results.seq DESC LIMIT ?"
        )
        top = 2**63 - 1 if before is None else before
        return [payload for (payload,) in self._db.execute(query, (top, limit)).fetchall()]

    def exam(self, exam_id: str) -> bytes | None:
        """Return the last revision of an exam."""
        query = (
            "SELECT exam_results.payload FROM exams JOIN exam_results "
            "ON exam_results.result_id = exams.result_id WHERE exams.exam_id = ?"
        )
        row = self._db.execute(query, (exam_id,)).fetchone()
        return None if row is None else bytes(row[0])

    def waiting_exams(self) -> int:
        """Count the exams that wait for further images."""
        query = "SELECT count(*) FROM exams WHERE first_s IS NOT NULL"
        return int(self._db.execute(query).fetchone()[0])

    def by_day(self, since: float) -> list[Day]:
        """Count first results by day, from a Unix time on."""
        query = (
            "SELECT date(completed_at, 'unixepoch', 'localtime') AS day, sum(scored), "
            "count(*) - sum(scored) FROM results JOIN outcomes ON outcomes.seq = results.seq "
            "AND outcomes.result_id = results.result_id "
            "WHERE completed_at >= ? GROUP BY day ORDER BY day"
        )
        return [Day(*row) for row in self._db.execute(query, (since,)).fetchall()]

    def last_rejected(self, since: float) -> bytes | None:
        """Return the last result of a rejected image, from a Unix time on."""
        query = (
            "SELECT payload FROM results JOIN outcomes ON outcomes.seq = results.seq "
            "AND outcomes.result_id = results.result_id "
            "WHERE completed_at >= ? AND scored = 0 ORDER BY results.seq DESC LIMIT 1"
        )
        row = self._db.execute(query, (since,)).fetchone()
        return None if row is None else bytes(row[0])

    def last_scored(self) -> Scored | None:
        """Return what gave the last score."""
        query = (
            "SELECT bundle_id, model, domain, threshold FROM scores "
            "ORDER BY completed_at DESC LIMIT 1"
        )
        row = self._db.execute(query).fetchone()
        return None if row is None else Scored(*row)

    def scores(self, bundle_id: str, limit: int) -> Sequence[float]:
        """List a bundle's calibrated scores, the newest first."""
        query = (
            "SELECT malignant FROM scores WHERE bundle_id = ? ORDER BY completed_at DESC LIMIT ?"
        )
        return [score for (score,) in self._db.execute(query, (bundle_id, limit)).fetchall()]

    def scores_by_day(self, bundle_id: str, since: float) -> list[DayOfScores]:
        """Average a bundle's calibrated scores by day, from a Unix time on."""
        query = (
            "SELECT date(completed_at, 'unixepoch', 'localtime') AS day, count(*), avg(malignant) "
            "FROM scores WHERE completed_at >= ? AND bundle_id = ? GROUP BY day ORDER BY day"
        )
        rows = self._db.execute(query, (since, bundle_id)).fetchall()
        return [DayOfScores(*row) for row in rows]


@contextmanager
def open_worklist(folder: Path) -> Iterator[Worklist]:
    """
    Look into the ledger of a daemon that may be running.

    Raises:
        StartupError: there is none, or it cannot be read.
    """
    with open_readonly(folder) as db:
        yield Worklist(db)
