"""The numbers that `health`, `mammo-edge status` and `/metrics` show."""

from collections.abc import Mapping
from typing import Any

from edge import __version__
from edge.config.settings import Device
from edge.contract import messages
from edge.daemon.workers.serving import Serving
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Protocol


def make_report(
    device: Device,
    health: Health,
    broker: MqttClient | None,
    serving: Serving,
    numbers: Mapping[str, Any],
) -> messages.Health:
    """
    Return the report of a running daemon: numbers and versions, nobody's name.

    Args:
        device: site and name.
        health: state, reasons and counters.
        broker: the connection; None without a broker.
        serving: the model that serves.
        numbers: the fields `queue`, `inbox`, `requests`, `exams`, `receiver`, `outbox` and `drift`.
    """
    told = health.reasons_and_causes()
    return messages.Health(
        schema=messages.HEALTH,
        site=device.site,
        device=device.name,
        state=health.phase,
        reasons=[reason for reason, _ in told],
        reason_codes=[cause for _, cause in told],
        version=__version__,
        uptime_s=round(health.uptime_s),
        broker=_broker(broker) if broker else None,
        model=model_part(serving),
        runtime=_runtime(serving),
        counters=dict(health.counters),
        **numbers,
    )


def _broker(broker: MqttClient) -> messages.BrokerPart:
    protocol = broker.protocol
    return messages.BrokerPart(
        connected=broker.connected, protocol="5" if protocol is Protocol.V5 else "3.1.1"
    )


def model_part(serving: Serving) -> messages.ModelPart:
    """Name the bundle that serves."""
    manifest = serving.bundle.manifest
    return messages.ModelPart(
        name=manifest.name, version=manifest.version, bundle=serving.bundle.bundle_id
    )


def _runtime(serving: Serving) -> messages.RuntimePart:
    runtime = serving.workers.runtime
    return messages.RuntimePart(
        backend=runtime.backend, fallback=runtime.fallback, threads=runtime.threads
    )
