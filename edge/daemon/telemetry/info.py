"""`info` over MQTT: retained facts about the device, published when one of them has changed."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from edge.contract.info import Info
from edge.contract.messages import encode
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.mqtt.client import MqttClient
from edge.mqtt.errors import HangUps, RefusedError

log = logging.getLogger(__name__)

HUNG_UP_RETRY_S: Final = 60.0
"""The time that others have for themselves if the broker hangs up on `info`, in seconds."""


class InfoPublisher:
    """
    Publishes `info` at each connection and at each change.

    Args:
        broker: the connection; before its `start`.
        topic: of `info`.
        health: is told if the broker refuses.
        gather: returns the message; the same object until something in it changes.
    """

    def __init__(
        self, broker: MqttClient, topic: str, health: Health, gather: Callable[[], Info]
    ) -> None:
        self._broker = broker
        self._topic = topic
        self._health = health
        self._gather = gather
        self._told: Info | None = None
        self._connected_anew = threading.Event()
        self._hang_ups = HangUps()
        self._hung_up_until = 0.0
        broker.on_connect(self._connected_anew.set)

    def turn(self) -> None:
        """Publish if something has changed, in a thread that may wait for the broker."""
        if not self._broker.connected:
            return
        if self._hang_ups.too_many and time.monotonic() < self._hung_up_until:
            return
        if self._connected_anew.is_set():
            self._connected_anew.clear()
            self._told = None
        info = self._gather()
        if info is not self._told:
            self._publish(info)

    def _publish(self, info: Info) -> None:
        try:
            self._broker.publish(self._topic, encode(info), retain=True)
        except RefusedError as error:  # tried again at the next change, or connection
            self._told = info
            self._health.recover(Cause.INFO_HUNG_UP)
            self._health.degrade(
                Cause.INFO_REFUSED, f"broker: our info is not taken: {error}: check its ACL"
            )
        except Unavailable as error:
            log.info('event=info_put_off why="%s"', error)
            if self._hang_ups.note(error):
                self._rest()
        else:
            self._told = info
            self._hang_ups.end()
            self._health.recover(Cause.INFO_REFUSED, Cause.INFO_HUNG_UP)

    def _rest(self) -> None:
        """Leave the connection to others for a while."""
        self._hung_up_until = time.monotonic() + HUNG_UP_RETRY_S
        self._health.recover(Cause.INFO_REFUSED)
        self._health.degrade(
            Cause.INFO_HUNG_UP,
            "broker: it hangs up on our info, which it is told only now and then: check its ACL",
        )
