"""
The moments at which images that wait came, by the time that the machine runs.

Rows have dates, which move when the clock is set; a duration is no difference of dates. So it is
kept in memory how long the machine had run when an image came. Of one that an earlier process took,
that follows from its date, if the last look at the clock says what the date stood for. If nobody
knows, the image counts as come when this process began: it has waited at least since then.
"""

import json
import sqlite3
import threading
import time
from typing import Final, NamedTuple

from edge.system.uptime import boot_id, uptime_s

OFF_S: Final = 7 * 86400.0
"""Seconds between two boots; if the date moves by more, the clock was set."""


class Arrivals:
    """
    Knows when each image that waits came; used from any thread.

    Args:
        came: of the images that an earlier process took, see `recall`.
    """

    def __init__(self, came: dict[str, float]) -> None:
        self._lock = threading.Lock()
        self._came = came

    def note(self, image_id: str, came: float) -> None:
        """Note that an image that is to be examined came when the machine had run `came` s."""
        with self._lock:
            self._came[image_id] = came

    def of(self, image_id: str) -> float | None:
        """Return how long the machine had run when an image came, in seconds; None if unknown."""
        return self._came.get(image_id)

    def drop(self, image_id: str, came: float | None) -> None:
        """Forget an image that is settled, unless it came once more since `came`."""
        with self._lock:
            if image_id in self._came and self._came[image_id] == came:
                del self._came[image_id]


class _Look(NamedTuple):
    """One look at both clocks, as in `Moment`."""

    date: float
    uptime: float
    boot: str
    since: float


def recall(db: sqlite3.Connection, key: str) -> dict[str, float]:
    """
    Return how long the machine had run when each image came that waits since before this process.

    Args:
        db: the ledger, before its dates are moved along with the clock.
        key: of the last look of an earlier process at the clock.
    """
    last = _last_look(db, key)
    found = _Look(time.time(), uptime_s(), boot_id(), 0.0)
    waiting = "SELECT image_id, received_at FROM images WHERE state IN ('received', 'examining')"
    return {image_id: _came(date, last, found) for image_id, date in db.execute(waiting)}


def _last_look(db: sqlite3.Connection, key: str) -> _Look | None:
    """Read a look, whatever else another release noted beside it; None if there was none."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    try:
        said = json.loads(row[0]) if row else {}
        return _Look(*(said[name] for name in _Look._fields))
    except (ValueError, TypeError, KeyError):
        return None


def _came(date: float, last: _Look | None, found: _Look) -> float:
    """Return how long the machine had run at a date that an earlier process wrote."""
    if last is None or date < last.since:
        return found.uptime
    if last.boot == found.boot:  # whatever became of the date since
        came = last.uptime + (date - last.date)
    elif 0 <= found.date - last.date <= OFF_S:
        came = found.uptime + (date - found.date)
    else:
        return found.uptime
    return min(came, found.uptime)
