"""
Receive results and replies as an MQTT 5 subscriber of a clinic would.

The tests use it too.
"""

import itertools
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.mqtt.connection import disconnect, release

T = TypeVar("T")

PATIENCE_S: Final = 240.0
"""Seconds to wait for a message: a busy machine may take long, and waiting costs nothing."""
SESSION_EXPIRY_S: Final = 3600
"""Seconds for which the broker keeps our session, so that nothing is missed while it restarts."""


class Subscriber:
    """
    A subscriber that keeps every message under `topic` in order, and lets callers wait for one.
    """

    def __init__(self, port: int, topic: str = "mammo/v1/#") -> None:
        self.messages: list[MQTTMessage] = []
        self._acknowledged: set[int] = set()
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._port, self._topic = port, topic
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            f"subscriber-{uuid.uuid4().hex[:8]}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_connect = lambda client, _data, _flags, _code, _properties: self._subscribe(
            client
        )
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_publish = lambda _client, _data, mid, _code, _properties: self._note_ack(
            mid
        )
        self._client.on_message = lambda _client, _data, message: self._keep(message)

    def _subscribe(self, client: Client) -> None:
        client.subscribe(self._topic, qos=1)

    def _keep(self, message: MQTTMessage) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def _note_ack(self, mid: int) -> None:
        with self._changed:
            self._acknowledged.add(mid)
            self._changed.notify_all()

    def __enter__(self) -> Self:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = SESSION_EXPIRY_S
        self._client.connect(
            "127.0.0.1", self._port, clean_start=False, properties=properties
        )  # mosquitto saves no other session
        self._client.loop_start()
        if not self._subscribed.wait(PATIENCE_S):
            msg = f"no SUBACK for {self._topic} from 127.0.0.1:{self._port}"
            raise TimeoutError(msg)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        disconnect(self._client)
        release(self._client)

    def wait_for(
        self, predicate: Callable[[Sequence[MQTTMessage]], T | None], timeout_s: float = PATIENCE_S
    ) -> T:
        """
        Wait until a predicate holds for the messages so far.

        Returns:
            The first true value that `predicate` returned.

        Raises:
            TimeoutError: it never held; the text lists the messages that came instead.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not (found := predicate(self.messages)):
                if not self._changed.wait(deadline - time.monotonic()):
                    topics = [message.topic for message in self.messages]
                    msg = f"not within {timeout_s} s; {len(topics)} messages came: {topics[-20:]}"
                    raise TimeoutError(msg)
            return found

    def follow(self, timeout_s: float) -> Iterator[MQTTMessage]:
        """Yield every message, from the first on, for `timeout_s` seconds in all."""
        deadline = time.monotonic() + timeout_s
        for place in itertools.count():
            with self._changed:
                while len(self.messages) <= place:
                    if not self._changed.wait(deadline - time.monotonic()):
                        return
            yield self.messages[place]

    def under(self, name: str) -> list[dict[str, Any]]:
        """Give the JSON of every message so far whose topic ends in `/name`, the oldest first."""
        with self._changed:
            return [
                json.loads(message.payload)
                for message in self.messages
                if message.topic.endswith(f"/{name}")
            ]

    def last(self, name: str) -> dict[str, Any]:
        """Give the newest of the messages of `under`; an empty one as long as none has come."""
        return next(reversed(self.under(name)), {})

    def wait_under(
        self, name: str, count: int, timeout_s: float = PATIENCE_S
    ) -> list[dict[str, Any]]:
        """Wait until `count` messages came to topics that end in `/name`; return their JSON."""
        self.wait_for(
            lambda messages: sum(m.topic.endswith(f"/{name}") for m in messages) >= count, timeout_s
        )
        return self.under(name)

    def publish(
        self,
        topic: str,
        payload: bytes,
        response_topic: str | None = None,
        correlation: bytes | None = None,
        exam: str | None = None,
    ) -> None:
        """Publish with QoS 1 and wait for the broker's PUBACK, through a reconnect if need be."""
        properties = Properties(PacketTypes.PUBLISH)
        if response_topic is not None:
            properties.ResponseTopic = response_topic
        if correlation is not None:
            properties.CorrelationData = correlation
        if exam is not None:
            properties.UserProperty = ("exam", exam)
        self._send(topic, payload, retain=False, properties=properties)

    def retain(self, topic: str, payload: bytes) -> None:
        """Publish as `publish` does, and have the broker keep the message; empty removes it."""
        self._send(topic, payload, retain=True, properties=None)

    def _send(
        self, topic: str, payload: bytes, *, retain: bool, properties: Properties | None
    ) -> None:
        mid = self._client.publish(topic, payload, 1, retain, properties).mid
        self.wait_for(lambda _: mid in self._acknowledged)
