"""The MQTT client of a process: publish, subscribe, fetch, over a connection that is kept up."""

import queue
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from edge.config.settings import Broker as BrokerSettings
from edge.errors import Unavailable
from edge.health import Health
from edge.mqtt.connection import Connection, Incoming, Protocol
from edge.mqtt.options import Options
from edge.mqtt.reconnect import CONNECT_S, Reconnector
from edge.mqtt.spoken import Spoken
from edge.mqtt.subscriptions import POLL_S, Subscriptions
from edge.mqtt.tls import refuse_cleartext, tls_context

STOP_S: Final = 5.0
"""Seconds for a DISCONNECT to go out, after which the broker would publish the last will."""


class MqttClient:
    """
    A client that a thread of its own keeps connected, MQTT 5 first, 3.1.1 if it must be.

    Args:
        settings: the broker, and how to reach it.
        password: kept in memory only.
        client_id: unique at the broker.
        will: topic and payload that the broker publishes, retained, when the connection is lost;
            None for nothing.
        health: is told when the broker is away.
        max_incoming: the largest request, in bytes.
        spoken: the brokers that have spoken MQTT 5.

    Raises:
        ConfigError: a certificate or key cannot be read, or the password would go in clear to
            another machine.
    """

    def __init__(  # noqa: PLR0913 - each is a fact of another origin
        self,
        settings: BrokerSettings,
        *,
        password: str | None,
        client_id: str,
        will: tuple[str, bytes] | None,
        health: Health,
        max_incoming: int,
        spoken: Spoken | None = None,
    ) -> None:
        refuse_cleartext(settings, password)
        tls = tls_context(settings) if settings.tls.enabled else None
        options = Options(settings, password, client_id, will, max_incoming, tls)
        self._subscriptions = Subscriptions(health)
        self._reconnector = Reconnector(
            options, health, self._subscriptions, spoken or Spoken(None)
        )

    def subscribe(
        self,
        topic: str,
        handler: Callable[[Incoming], None],
        *,
        group: str | None = None,
        retained: bool = False,
    ) -> None:
        """
        Have messages of a topic given to `handler`. To be called before `start`.

        Args:
            topic: a topic, or a filter with wildcards.
            handler: is called in paho's thread, and must only enqueue.
            group: the name of a group of clients that share the messages, if any.
            retained: true to get the message that the broker keeps there, at each connection.
        """
        self._subscriptions.add(topic, handler, group, retained=retained)

    def on_connect(self, greet: Callable[[], None]) -> None:
        """Have `greet`, which must only wake others, called after each connection."""
        self._reconnector.greeters.append(greet)

    def start(self) -> None:
        """Begin to connect, and to connect again."""
        self._reconnector.start()

    def stop(self) -> None:
        """Disconnect in order, so that the last will is not sent."""
        self._reconnector.stop(STOP_S)

    @property
    def protocol(self) -> Protocol:
        """The MQTT version of the present connection, or of the next attempt."""
        return self._reconnector.protocol

    @property
    def guessed(self) -> bool:
        """True if MQTT 3.1.1 is spoken although the broker did not say that it knows no other."""
        return self._reconnector.guessed

    @property
    def connection(self) -> Connection | None:
        """The present connection; None while there is none."""
        return self._reconnector.connection

    @property
    def connected(self) -> bool:
        """True while a publish has a chance."""
        return self._connected() is not None

    @property
    def max_packet(self) -> int | None:
        """The largest packet that the broker takes, in bytes; None if it named no limit."""
        connection = self.connection
        return connection.max_packet if connection is not None else None

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        qos: int = 1,
        correlation: bytes | None = None,
    ) -> None:
        """
        Publish, and at QoS 1 wait for the PUBACK.

        Raises:
            Unavailable: not connected, or no PUBACK in time; try again later.
            HungUpError: the broker ended the connection.
            RefusedError: the broker refused the message, or would refuse its size.
        """
        connection = self._connected()
        if connection is None:  # paho would queue the message, and our caller would do so again
            msg = "broker: not connected"
            raise Unavailable(msg)
        connection.publish(topic, payload, retain=retain, qos=qos, correlation=correlation)

    def fetch(self, topic: str, wait_s: float) -> bytes:
        """
        Return the payload that is retained on a topic, which is never empty.

        One thread at a time may fetch, and only topics that nobody subscribes.

        Raises:
            Unavailable: nothing came in time, the broker refuses the subscription, or there is no
                connection.
        """
        connection = self._await_connection(time.monotonic() + min(wait_s, CONNECT_S))
        return self._subscriptions.fetch(connection, topic, wait_s)

    def listen(
        self, connection: Connection, topic: str
    ) -> "AbstractContextManager[queue.SimpleQueue[Incoming]]":
        """Subscribe a topic that nobody else subscribes for as long as the block lasts."""
        return self._subscriptions.listen(connection.client, topic)

    def _connected(self) -> Connection | None:
        connection = self.connection
        return connection if connection is not None and connection.client.is_connected() else None

    def _await_connection(self, deadline: float) -> Connection:
        """
        Wait for the connection.

        A message may have come, and its handler may fetch, before the connection is set here.
        """
        while (connection := self._connected()) is None:
            if time.monotonic() > deadline or self._reconnector.stopping.wait(POLL_S):
                msg = "broker: not connected"
                raise Unavailable(msg)
        return connection
