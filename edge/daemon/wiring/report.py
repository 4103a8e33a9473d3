"""The report that `health` publishes and that `mammo-edge status` and `/metrics` show."""

from collections.abc import Callable

from edge.config.settings import Settings
from edge.contract import messages
from edge.daemon.pipeline.examination import Parts
from edge.daemon.telemetry.drift import Drift
from edge.daemon.telemetry.report import make_report
from edge.mqtt.client import MqttClient


class Report:
    """
    Gathers the message `health`; any thread may call it.

    Args:
        settings: say who the device is.
        parts: the shared objects.
        client: the connection to the broker, if there is one.
        seen: counts the files seen in the inbox and not yet taken; None without a folder intake.
        drift: compares scores.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        client: MqttClient | None,
        seen: Callable[[], int] | None,
        drift: Drift,
    ) -> None:
        self._device = settings.device
        self._parts = parts
        self._client = client
        self._seen = seen
        self._drift = drift

    def __call__(self) -> messages.Health:
        """Gather the report."""
        ledger = self._parts.ledger
        numbers = {
            "queue": ledger.queries.summary(),
            "inbox": {"seen": self._seen()} if self._seen else None,
            "outbox": ledger.outbox.counts(),
            "drift": self._drift.report(),
        }
        serving = self._parts.model.serving
        return make_report(self._device, self._parts.health, self._client, serving, numbers)
