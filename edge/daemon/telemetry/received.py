"""Entries of the audit log about the DICOM receiver: its starts, and counts now and then."""

import logging
from typing import Any, Final

from edge.contract.receiver import ReceiverReport
from edge.errors import Unavailable
from edge.storage.audit import Audit

log = logging.getLogger(__name__)

EVENT: Final = "receiver"
TELL_S: Final = 3600.0
"""Seconds between two entries with the counts of one receiver."""
START: Final = frozenset({"listen", "tls", "callers", "settings"})
COUNTS: Final = frozenset({"taken", "refused", "turned_away", "aborted"})


class Received:
    """
    Notes each start of a receiver, and what it has counted: every hour, and at its end.

    Counts are those since the receiver's start. No AE title and no address of a peer is noted.

    Args:
        audit: the audit log.
    """

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._seen: ReceiverReport | None = None
        """The report that was seen last, of a receiver whose start is noted."""
        self._told: dict[str, Any] = {}
        self._told_at = 0.0

    def see(self, report: ReceiverReport | None, now: float) -> None:
        """
        Note what is due.

        Args:
            report: of the receiver that runs, if one does.
            now: monotonic time, in seconds.
        """
        before = self._seen
        try:
            if before is not None and (report is None or report.since != before.since):
                self._tell_counts(before)
                self._seen = None
            if report is None:
                return
            if self._seen is None:
                self._tell_start(report)
                self._told_at = now
            self._seen = report
            if now - self._told_at >= TELL_S:
                self._tell_counts(report)
                self._told_at = now
        except Unavailable as error:  # it is due at the next turn, too
            log.warning('event=receiver_not_noted why="%s"', error)

    def end(self) -> None:
        """Note the counts of a receiver that goes on, since the daemon ends."""
        self.see(None, 0.0)

    def _tell_start(self, report: ReceiverReport) -> None:
        since = _fields(report, frozenset({"since"}))
        newest = self._audit.newest(EVENT)
        if newest is None or newest["details"].get("since") != since["since"]:
            self._audit.add(EVENT, step="started", **since, **_fields(report, START))

    def _tell_counts(self, report: ReceiverReport) -> None:
        counts = _fields(report, COUNTS | {"since"})
        if counts != self._told and any(counts[name] for name in COUNTS):
            self._audit.add(EVENT, step="counted", **counts)
            self._told = counts


def _fields(report: ReceiverReport, names: frozenset[str]) -> dict[str, Any]:
    return report.model_dump(mode="json", include=set(names))
