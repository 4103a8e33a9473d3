"""Couriers: from the outbox to each configured sink."""

from collections.abc import Iterator
from typing import Final

from edge.config.settings import Settings
from edge.contract.render import without_heatmap
from edge.daemon.publish import Sink
from edge.daemon.publish.courier import Courier
from edge.daemon.publish.jsonl import JsonlSink
from edge.daemon.publish.mqtt import MqttSink
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.mqtt.topics import Topics
from edge.storage.ledger.outbox import Outbox

STOP_S: Final = 2.0
"""Seconds for which each courier may go on at the end."""


class Delivery:
    """
    A courier for each sink.

    Args:
        settings: say which sinks there are.
        outbox: what is to be delivered.
        health: for stamps and reasons.
        client: the connection to the broker, if there is one.
    """

    def __init__(
        self, settings: Settings, outbox: Outbox, health: Health, client: MqttClient | None
    ) -> None:
        expiry_s = settings.publish.reply_expiry_s
        self._couriers = [
            Courier(sink, outbox, health, reply_expiry_s=expiry_s)
            for sink in _sinks(settings, client)
        ]
        if client:
            client.on_connect(self._couriers[0].retry_held)

    def start(self) -> None:
        """Begin to deliver."""
        for courier in self._couriers:
            courier.start()

    def wake(self) -> None:
        """Tell the couriers that the outbox has a new row."""
        for courier in self._couriers:
            courier.wake()

    def stop(self) -> None:
        """Deliver what goes at once, then end."""
        for courier in self._couriers:
            courier.stop(STOP_S)


def _sinks(settings: Settings, client: MqttClient | None) -> Iterator[Sink]:
    if client:
        yield MqttSink(client, Topics.of(settings.device), without_heatmap)
    if settings.publish.jsonl:
        yield JsonlSink(settings.publish.jsonl)
