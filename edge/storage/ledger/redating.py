"""Moves the dates of a ledger's rows."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from edge.system import time_sync

BUILT: Final = time_sync.BUILT.timestamp()
DATED: Final = (
    ("images", "archived_at"),
    ("images", "received_at"),
    ("submissions", "received_at"),
    ("results", "completed_at"),
    ("scores", "completed_at"),
    ("verdicts", "completed_at"),
    ("verdicts", "given_at"),
    ("exam_results", "completed_at"),
    ("exam_scores", "completed_at"),
    ("exam_verdicts", "completed_at"),
    ("exam_verdicts", "given_at"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """Dates from `begin` to `end`, Unix times in seconds, that are moved by `seconds`."""

    begin: float
    end: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Jump:
    """The dates that were moved since the clock has moved by `seconds`."""

    seconds: float
    spans: tuple[Span, ...]
    """The first one holds among those that overlap: it gives the latest date."""

    def moved(self, date: float) -> float:
        """Return a date as it is now."""
        by = (span.seconds for span in self.spans if span.begin <= date <= span.end)
        return date + next(by, 0.0)


def redate(db: sqlite3.Connection, jump: Jump) -> None:
    """Move the dates of all rows as a jump says."""
    moving = [span for span in jump.spans if span.seconds]
    values = [value for span in jump.spans for value in (span.begin, span.end, span.seconds)]
    values += [value for span in moving for value in (span.begin, span.end)]
    for table, column in DATED:
        cases = f" WHEN {column} BETWEEN ? AND ? THEN ?" * len(jump.spans)
        some = " OR ".join([f"{column} BETWEEN ? AND ?"] * len(moving))
        moved = f"{column} + CASE{cases} ELSE 0 END"
        db.execute(f"UPDATE {table} SET {column} = {moved} WHERE {some}", values)


def date_anew(db: sqlite3.Connection, date: float) -> None:
    """Date what no right clock has dated, and no note speaks of, as if it had come now."""
    if date >= BUILT:  # from the receipts of a ledger that was rebuilt, say
        for table, column in DATED:
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {column} < ?", (date, BUILT))
