"""The report that `health` publishes and that `mammo-edge status` and `/metrics` show."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edge.config.settings import Settings
from edge.contract import messages
from edge.contract.receiver import ReceiverPart
from edge.daemon.intake.folder import Counts
from edge.daemon.intake.mqtt import Held
from edge.daemon.pipeline.examination import Parts
from edge.daemon.telemetry.drift import Drift
from edge.daemon.telemetry.report import make_report
from edge.mqtt.client import MqttClient
from edge.system.inotify import watch_limit


@dataclass(frozen=True, slots=True)
class Sources:
    """Counts of what the sources see and hold; None without such a source."""

    inbox: Callable[[], Counts] | None
    """Counts files and watches of the inbox."""
    held: Callable[[], Held] | None
    """Counts the requests in memory."""
    receiver: Callable[[], ReceiverPart | None]
    """Returns what the DICOM receiver counts."""


class Report:
    """
    Gathers the message `health`; any thread may call it.

    Args:
        settings: say who the device is.
        parts: the shared objects.
        client: the connection to the broker, if there is one.
        sources: count what is not in the ledger yet.
        drift: compares scores.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        client: MqttClient | None,
        sources: Sources,
        drift: Drift,
    ) -> None:
        self._device = settings.device
        self._makes_exams = settings.makes_exams
        self._parts = parts
        self._client = client
        self._sources = sources
        self._drift = drift

    def __call__(self) -> messages.Health:
        """Gather the report."""
        ledger = self._parts.ledger
        numbers = {
            "queue": ledger.queries.summary(),
            "inbox": self._inbox(),
            "requests": self._requests(),
            "exams": ledger.exams.counts() if self._makes_exams else None,
            "receiver": self._sources.receiver(),
            "outbox": _summed(
                ledger.outbox.counts(), ledger.exam_outbox.counts(), ledger.exam_reports.counts()
            ),
            "drift": self._drift.report(),
        }
        serving = self._parts.model.serving
        return make_report(self._device, self._parts.health, self._client, serving, numbers)

    def _inbox(self) -> dict[str, Any] | None:
        if self._sources.inbox is None:
            return None
        counts, limit = self._sources.inbox(), watch_limit()
        free = None if counts.watches is None or limit is None else max(0, limit - counts.watches)
        watches = None if counts.watches is None else {"used": counts.watches, "free": free}
        return {"seen": counts.seen, "kept": counts.kept, "watches": watches}

    def _requests(self) -> dict[str, int] | None:
        if self._sources.held is None:
            return None
        held = self._sources.held()
        waiting = self._parts.ledger.references.count()
        return {"in_memory": held.requests, "bytes": held.bytes, "references": waiting}


def _summed(*outboxes: Mapping[str, Mapping[str, int]]) -> dict[str, Counter[str]]:
    """Add what waits for the same sink, as reports of images and of exams do."""
    counts: dict[str, Counter[str]] = {}
    for outbox in outboxes:
        for sink, found in outbox.items():
            counts.setdefault(sink, Counter()).update(found)
    return counts
