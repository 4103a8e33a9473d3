"""
The DICOM receiver, as the daemon sees it: by the file in which the receiver counts.

The receiver is a process of its own, with other rights. The two share this file and the inbox, and
neither waits for the other.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.config.dicom import Dicom
from edge.contract.receiver import ReceiverPart, ReceiverReport
from edge.daemon.telemetry.received import Received
from edge.health import Cause, Health
from edge.storage.audit import Audit
from edge.system import files
from edge.system.threads import Loop
from edge.system.uptime import uptime_s

LOOP: Final = "receiver"
TURN_S: Final = 5.0
MOST_BYTES: Final = 2**16
SILENT_S: Final = 30.0
"""Age at which a report is not believed any more, in seconds; it comes every ten."""
AWAY_S: Final = 60.0
"""Seconds without a receiver after which a person is told; a restart takes less."""
AWAY: Final = (
    "receiver: nothing is heard of `mammo-edge receive`, though [dicom] callers names senders"
)


def read_report(file: Path) -> ReceiverReport | None:
    """Read the report of the receiver; None if no receiver runs."""
    try:
        with files.open_regular(file) as opened:
            report = ReceiverReport.model_validate_json(opened.read(MOST_BYTES))
    except (OSError, ValueError):
        return None
    return report if 0 <= uptime_s() - report.uptime_s <= SILENT_S else None


def receiver_part(settings: Dicom) -> ReceiverPart | None:
    """
    Return what `health` says of the receiver; None if no caller is configured.

    Without callers a report in that place is that of another daemon's receiver.
    """
    if not settings.callers:
        return None
    report = read_report(settings.report)
    return ReceiverPart(running=False) if report is None else ReceiverPart.of(report)


class ReceiverWatch(Loop):
    """
    Tells if no receiver runs though callers are configured, and tells the audit log what came.

    Args:
        settings: returns the section as it was read last.
        health: for stamps and the reason.
        audit: the audit log.
    """

    def __init__(self, settings: Callable[[], Dicom], health: Health, audit: Audit) -> None:
        super().__init__(LOOP, health)
        self._settings = settings
        self._received = Received(audit)
        self._heard = time.monotonic()

    def _rest_s(self) -> float:
        return TURN_S

    def turn(self) -> None:
        """Look once."""
        settings, now = self._settings(), time.monotonic()
        report = read_report(settings.report) if settings.callers else None
        if report is not None or not settings.callers:
            self._heard = now
            self._health.recover(Cause.RECEIVER_AWAY)
        elif now - self._heard > AWAY_S:
            self._health.degrade(Cause.RECEIVER_AWAY, AWAY)
        self._received.see(report, now)

    def last_turn(self) -> None:
        """Tell the audit log the rest."""
        self._received.end()
