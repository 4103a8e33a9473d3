"""The subscriptions of a client: who handles which topic, and which ones the broker refuses."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from paho.mqtt.client import Client, topic_matches_sub
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.mqtt.connection import Connection, Incoming, Protocol

POLL_S: Final = 0.1
"""The time between two looks of a waiting thread if the connection still lasts, in seconds."""


class Subscriptions:
    """
    Topics that last as long as the client, and the one that is fetched just now.

    Args:
        health: is told when the broker refuses a subscription, and when it grants it again.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._handlers: dict[str, Callable[[Incoming], None]] = {}
        self._filters: dict[str, bool] = {}
        self._fetching: int | None = None
        self._refused = threading.Event()
        # held while subscribing: SUBACK may come before paho has told us the packet identifier
        self._asking = threading.Lock()

    def add(
        self, topic: str, handler: Callable[[Incoming], None], group: str | None, *, retained: bool
    ) -> None:
        """Have messages of a topic given to `handler`; a group of devices shares them."""
        self._handlers[topic] = handler
        self._filters[f"$share/{group}/{topic}" if group else topic] = retained

    def begin(self, client: Client, protocol: Protocol) -> None:
        """Subscribe everything on a new connection."""
        self._health.recover(Cause.SUBSCRIPTION_REFUSED, Cause.MODEL_SUBSCRIPTION_REFUSED)
        self._fetching = None  # packet identifiers begin anew
        client.on_subscribe = self.note_suback
        for topic, retained in self._filters.items():
            client.subscribe(topic, **({"qos": 1} if retained else _without_retained(protocol)))

    def dispatch(self, incoming: Incoming) -> None:
        """Give a message to its handler; acknowledge one that nobody handles."""
        handler = self._handlers.get(incoming.topic) or self._fitting(incoming.topic)
        if handler is None:
            incoming.acknowledge()
        else:
            handler(incoming)

    def _fitting(self, topic: str) -> Callable[[Incoming], None] | None:
        """Find the handler of a filter with wildcards."""
        handlers = list(self._handlers.items())  # another thread fetches, and adds to them
        return next((one for said, one in handlers if topic_matches_sub(said, topic)), None)

    @contextmanager
    def listen(self, client: Client, topic: str) -> "Iterator[queue.SimpleQueue[Incoming]]":
        """Subscribe a topic that has no other handler for as long as the block lasts."""
        came: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
        self._handlers[topic] = came.put
        self._refused.clear()
        # at QoS 1 it would wait behind requests that are held back, and behind the command that
        # wants it
        with self._asking:
            self._fetching = client.subscribe(topic, qos=0)[1]
        try:
            yield came
        finally:
            client.unsubscribe(topic)
            del self._handlers[topic]

    def fetch(self, connection: Connection, topic: str, wait_s: float) -> bytes:
        """
        Return the payload that is retained on a topic, which is never empty.

        Raises:
            Unavailable: nothing came in time, the broker refuses the subscription, or the
                connection was lost.
        """
        with self.listen(connection.client, topic) as came:
            deadline = time.monotonic() + wait_s
            while time.monotonic() < deadline and not self._is_over(connection):
                try:
                    payload = came.get(timeout=POLL_S).payload
                except queue.Empty:
                    continue
                if payload:
                    self._health.recover(Cause.MODEL_SUBSCRIPTION_REFUSED)
                    return payload
            msg = f"{topic}: {self._why_nothing(connection, wait_s)}"
        raise Unavailable(msg)

    def _is_over(self, connection: Connection) -> bool:
        return connection.ended.is_set() or self._refused.is_set()

    def _why_nothing(self, connection: Connection, wait_s: float) -> str:
        if self._refused.is_set():
            return "the broker refuses the subscription: check its ACL"
        if connection.ended.is_set():
            return "the connection was lost"
        return f"nothing came within {wait_s:g} s"

    def note_suback(
        self,
        _client: Client,
        _data: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        """Report a subscription that the broker refuses. A callback of paho."""
        if not any(reason.is_failure for reason in reasons):
            return
        with self._asking:
            fetching = mid == self._fetching
        if fetching:
            self._health.degrade(
                Cause.MODEL_SUBSCRIPTION_REFUSED,
                "model/available: the broker refuses our subscription, so "
                "no model comes from there: check its ACL",
            )
            self._refused.set()
        else:
            self._health.degrade(
                Cause.SUBSCRIPTION_REFUSED,
                "broker: it refuses a subscription, so requests do not reach us: check its ACL",
            )


def _without_retained(protocol: Protocol) -> dict[str, Any]:
    """Return the options of a subscription at QoS 1; MQTT 5 can spare us retained messages."""
    if protocol is not Protocol.V5:
        return {"qos": 1}
    never = SubscribeOptions.RETAIN_DO_NOT_SEND
    return {"options": SubscribeOptions(qos=1, retainHandling=never)}
