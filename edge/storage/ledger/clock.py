"""
The clock by which rows are dated, and the re-dating of rows that a wrong one dated.

A device without a battery starts in 1970, or where it was switched off, until its clock is set. Age
is the time that has passed, not a difference of dates: so it is kept how long the machine has run
beside the date. If the date moves further than that, all rows of this run of the clock are moved
along. Of the time between two boots nobody knows; of it, AWAY_S at most makes anything older.
"""

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from edge.storage.ledger.database import Database
from edge.system.uptime import boot_id, uptime_s

KEY: Final = "clock"
STEP_S: Final = 60.0
"""Seconds by which a date must move on its own to count as a jump."""
AWAY_S: Final = 7 * 86400.0
BEFORE_S: Final = 600.0
"""Seconds before the first look at a clock for which rows may have been dated by it."""
NOTED_S: Final = 60.0
DATED: Final = (
    ("images", "archived_at"),
    ("images", "received_at"),
    ("submissions", "received_at"),
    ("results", "completed_at"),
    ("scores", "completed_at"),
    ("verdicts", "completed_at"),
    ("verdicts", "given_at"),
    ("exam_results", "completed_at"),
)


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at both clocks."""

    date: float
    """Unix time, in seconds."""
    uptime: float
    """Seconds that the machine has run."""
    boot: str
    """The name of this boot."""
    since: float
    """Unix time at which this run of the clock began, as dated now."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Dates from `begin` to `end`, Unix times in seconds, that were moved by `seconds`."""

    begin: float
    end: float
    seconds: float

    def moved(self, date: float) -> float:
        """Return a date as it is now."""
        return date + self.seconds if self.begin <= date <= self.end else date


class Clock:
    """
    Keeps the dates of a ledger's rows right; used by one thread.

    Args:
        database: of the ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: Moment | None = None
        self._noted = float("-inf")

    def tick(
        self, now: Callable[[], float] = time.time, uptime: Callable[[], float] = uptime_s
    ) -> Jump | None:
        """
        Look at the clock, and re-date what a wrong one has dated.

        Raises:
            Unavailable: the ledger cannot be read or written.
        """
        last = self._last or self._read()
        found = Moment(now(), uptime(), boot_id(), 0.0)
        jump, since = _compare(last, found)
        found = Moment(found.date, found.uptime, found.boot, since)
        if jump is not None:
            with self._database.transaction() as db:
                _redate(db, jump)
                _write(db, found)
        elif found.uptime - self._noted >= NOTED_S or last is None:
            with self._database.transaction(synced=False) as db:
                _write(db, found)
            self._noted = found.uptime
        self._last = found
        return jump

    def _read(self) -> Moment | None:
        with self._database.reading() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
        try:
            return Moment(**json.loads(row[0])) if row else None
        except (ValueError, TypeError):
            return None


def _compare(last: Moment | None, found: Moment) -> tuple[Jump | None, float]:
    """Return the jump between two moments, if any, and the beginning of this run of the clock."""
    if last is None:
        return None, found.date - BEFORE_S
    passed = found.date - last.date
    if last.boot == found.boot:
        lived = found.uptime - last.uptime
    elif passed < -STEP_S:  # it began anew, in the past: what was dated before stays
        return None, found.date - BEFORE_S
    else:
        lived = min(passed, AWAY_S)
    jumped = passed - lived
    if abs(jumped) <= STEP_S:
        return None, last.since
    return Jump(last.since, last.date + lived, jumped), last.since + jumped


def _redate(db: sqlite3.Connection, jump: Jump) -> None:
    for table, column in DATED:
        db.execute(
            f"UPDATE {table} SET {column} = {column} + ? WHERE {column} BETWEEN ? AND ?",
            (jump.seconds, jump.begin, jump.end),
        )


def _write(db: sqlite3.Connection, moment: Moment) -> None:
    db.execute(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
        (KEY, json.dumps(asdict(moment))),
    )
