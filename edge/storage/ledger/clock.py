"""
The clock by which rows are dated, and the re-dating of rows that a wrong one dated.

A device without a battery starts in 1970, or where it was switched off, until its clock is set. Age
is the time that has passed, not a difference of dates: so it is kept how long the machine has run
beside the date. If the date moves further than that, all rows are moved along.

Of the time between two boots nobody knows: AWAY_S at most make anything older, and more is no time
at all. A boot that begins in the past dates rows of its own, beside older ones that stay as they
are; once its clock jumps, or a boot begins after them, both are of one clock again. Where dates
could be of either, the later one holds: nothing goes early.
"""

import json
import math
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final

from edge.storage.ledger.database import Database
from edge.storage.ledger.redating import Jump, Span, date_anew, redate
from edge.system.uptime import boot_id, uptime_s

KEY: Final = "clock"
STEP_S: Final = 60.0
"""Seconds by which a date must move on its own to count as a jump."""
AWAY_S: Final = 7 * 86400.0
AROUND_S: Final = 600.0
"""Seconds before the first look at a clock, and after the last, in which it may date rows."""
NOTED_S: Final = 60.0
EVER: Final = -math.inf
"""The Unix time before which there was nothing."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at both clocks."""

    date: float
    """Unix time, in seconds."""
    uptime: float
    """Seconds that the machine has run."""
    boot: str
    """The name of this boot."""
    since: float = EVER
    """Unix time from which on this run of the clock dated rows; EVER if it dated all."""
    before: float | None = None
    """Unix time at which the last earlier run ended, if this one began before that."""
    behind: float = 0.0
    """Seconds from there on with the rows of runs in between, which began in the past, too."""

    @property
    def begun(self) -> float:
        """The Unix time at which this run of the clock began."""
        return self.since + AROUND_S


class Clock:
    """
    Keeps the dates of a ledger's rows right; used by one thread at a time.

    Args:
        database: of the ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._last: Moment | None = None
        self._noted = -math.inf
        self.dates_hold = False
        """True if all rows are dated by the clock as it is: else nothing may go by its age."""

    def tick(
        self, now: Callable[[], float] = time.time, uptime: Callable[[], float] = uptime_s
    ) -> Jump | None:
        """
        Look at the clock, and re-date what a wrong one has dated.

        The first look must come before anything is dated: of what came before nobody knows.

        Raises:
            Unavailable: the ledger cannot be read or written.
        """
        last, first = self._last or self._read(), self._last is None
        jump, found = _compare(last, Moment(now(), uptime(), boot_id()))
        self.dates_hold = jump is None  # even if the disk takes no note of it
        if first or jump is not None:
            if jump is None:
                self._last = found  # though the disk may be full, the next jump is seen
            with self._database.transaction(synced=jump is not None) as db:
                if jump is not None:
                    redate(db, jump)
                date_anew(db, found.date)
                _write(db, found)
            self._noted = found.uptime
        elif found.uptime - self._noted >= NOTED_S:
            with self._database.transaction(synced=False) as db:
                _write(db, found)
            self._noted = found.uptime
        self._last, self.dates_hold = found, True
        return jump

    def looking_old(self) -> tuple[float, float]:
        """Return the first and last date of rows that may only look old; first > last: none."""
        last = self._last
        if last is None or last.before is None:
            return math.inf, -math.inf
        return last.since, last.date + AROUND_S

    def _read(self) -> Moment | None:
        with self._database.reading() as db:
            row = db.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
        try:
            return Moment(**json.loads(row[0])) if row else None
        except (ValueError, TypeError):
            return None


def _compare(last: Moment | None, found: Moment) -> tuple[Jump | None, Moment]:
    """Return the jump between two looks, if any, and the second with what runs of the clock are."""
    if last is None:
        return None, found
    passed = found.date - last.date
    same_boot = last.boot == found.boot and found.uptime >= last.uptime
    # `end`: of what the clock dated as it was; `anew`: from there on it may have, as it is now.
    if same_boot:
        lived = found.uptime - last.uptime
        end, anew = last.date + lived, found.date - lived
    elif passed < -STEP_S:
        if last.before is not None and found.date >= last.before:
            return None, found  # no longer in the past: all rows are of one clock that goes slow
        return _begin_anew(last, found)
    else:
        lived = passed if passed <= AWAY_S else 0.0
        end, anew = last.date + AWAY_S, found.date - found.uptime  # more than notes come late
    jumped = passed - lived
    if abs(jumped) <= STEP_S:
        return None, replace(found, since=last.since, before=last.before, behind=last.behind)
    # Some rows have dates to come: the last note is a minute old, or a doubt made them later.
    if last.before is not None:
        end += AROUND_S
    else:  # there are no others
        end = max(end, anew - AROUND_S) if jumped > 0 else math.inf
    spans = [Span(last.since, end, jumped)]
    if same_boot:  # what was dated since a jump back is right; what else has its dates, goes late
        spans.append(Span(anew, found.date + AROUND_S, 0.0))
    if last.before is not None:
        behind = last.before + last.behind
        away = last.begun + jumped - behind
        known = -STEP_S <= away <= AWAY_S
        spans.append(Span(EVER, last.before + AWAY_S, 0.0 if known else away))
        if last.behind:  # all the time off may have been before them
            spans.append(Span(last.before, behind + AROUND_S, away))
    spans.sort(key=lambda span: -span.seconds)
    return Jump(jumped, tuple(spans)), found


def _begin_anew(last: Moment, found: Moment) -> tuple[Jump | None, Moment]:
    """Begin a run of the clock in the past; if the last one did so too, it goes behind."""
    found = replace(found, since=found.date - AROUND_S, before=last.date)
    if last.before is None:
        return None, found
    moved = last.before + last.behind - last.begun
    jump = Jump(moved, (Span(last.since, last.date + AROUND_S, moved),))
    behind = last.date + moved - last.before
    return jump, replace(found, before=last.before, behind=behind)


def _write(db: sqlite3.Connection, moment: Moment) -> None:
    db.execute(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
        (KEY, json.dumps(asdict(moment))),
    )
