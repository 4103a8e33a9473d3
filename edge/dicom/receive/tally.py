"""Counts of what the receiver took and refused, and the file by which the daemon learns of them."""

import hashlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from edge.config.dicom import Dicom
from edge.contract.receiver import Aborted, Cause, ReceiverReport, Refused, TurnedAway
from edge.system import files
from edge.system.uptime import uptime_s

log = logging.getLogger(__name__)

STAMP_S: Final = 10.0
"""Seconds after which the file is written anew though nothing has happened."""
KINDS: Final[Mapping[str, type[StrEnum]]] = {
    "refused": Refused,
    "turned_away": TurnedAway,
    "aborted": Aborted,
}
"""The causes that each field of the report counts."""


class Tally:
    """
    Counts since the start of the receiver; any thread may call it.

    Args:
        settings: of the receiver.
    """

    def __init__(self, settings: Dicom) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Cause] = Counter()
        self._taken = 0
        self._last: datetime | None = None
        self._own = {
            "since": datetime.now(UTC),
            "listen": settings.listen,
            "tls": settings.tls,
            "callers": len(settings.callers),
            "settings": hashlib.sha256(settings.model_dump_json().encode()).hexdigest(),
        }

    def took(self) -> None:
        """Count an object that is in the inbox."""
        with self._lock:
            self._taken += 1
            self._last = datetime.now(UTC).replace(microsecond=0)

    def count(self, cause: Cause) -> None:
        """Count what was refused, or ended before its time."""
        with self._lock:
            self._counts[cause] += 1

    def report(self) -> ReceiverReport:
        """Return the counts as they are now."""
        with self._lock:
            counts, taken, last = dict(self._counts), self._taken, self._last
        by_kind = {
            name: {one: number for one, number in counts.items() if isinstance(one, kind)}
            for name, kind in KINDS.items()
        }
        return ReceiverReport.model_validate(
            self._own | by_kind | {"uptime_s": uptime_s(), "taken": taken, "last_taken_at": last}
        )


class Reporter:
    """
    Writes the counts down for the daemon, which does nothing but read them; used by one thread.

    A disk that does not take them is no reason to refuse objects.

    Args:
        settings: name the file.
        tally: has the counts.
    """

    def __init__(self, settings: Dicom, tally: Tally) -> None:
        self._file, self._tally = settings.report, tally
        self._written: ReceiverReport | None = None
        self._next = 0.0
        self._failed = False

    def turn(self) -> None:
        """Write if something was counted, or the last time was long ago."""
        report, now = self._tally.report(), time.monotonic()
        if now < self._next and self._written is not None and _same(report, self._written):
            return
        try:
            files.write(self._file, report.model_dump_json().encode())
        except OSError as error:
            if not self._failed:
                log.warning('event=report_not_written why="[dicom] report: %s"', error.strerror)
            self._failed = True
            return
        self._written, self._next, self._failed = report, now + STAMP_S, False

    def remove(self) -> None:
        """Remove the file, since the receiver ends."""
        try:
            self._file.unlink(missing_ok=True)
        except OSError:  # it is too old to be believed in half a minute
            log.info("event=report_left")


def _same(one: ReceiverReport, other: ReceiverReport) -> bool:
    """Tell if two reports differ in nothing but their time."""
    return one.model_copy(update={"uptime_s": other.uptime_s}) == other
