"""
The one place that configures paho: one connection to the broker, MQTT 5 first, 3.1.1 where it must
be.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.config.settings import Broker as BrokerSettings
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.mqtt.connection import Connection, Incoming, Protocol, disconnect
from edge.mqtt.tls import refuse_cleartext, tls_context

log = logging.getLogger(__name__)

CONNECT_S: Final = 10.0
"""How long a broker may take to answer CONNECT, in seconds."""
BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S: Final = 5.0
"""
A connection that lasted so long is made anew at once, a shorter one after a pause: some brokers
hang up on what they dislike.
"""
LARGEST_PACKET: Final = 268_435_455
"""What MQTT can say at all, in bytes."""
CLOSES_BEFORE_FALLBACK: Final = 2
FETCH_TURN_S: Final = 0.1
"""How often who waits for a message looks whether the connection is still there, in seconds."""


class MqttClient:
    """
    The connection, kept up by a thread of its own; whoever publishes waits for the PUBACK.

    Args:
        settings: where and how.
        password: kept in memory only.
        client_id: unique at the broker.
        will: topic and payload that the broker publishes, retained, when we vanish; None for
            nothing.
        health: is told when the broker is away.
        max_incoming: largest request, in bytes.

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
    ) -> None:
        self._settings = settings
        self._password = password
        self._client_id = client_id
        self._will = will
        self._health = health
        self._max_incoming = max_incoming
        refuse_cleartext(settings, password)
        self._tls = tls_context(settings) if settings.tls.enabled else None
        self._handlers: dict[str, Callable[[Incoming], None]] = {}
        self._filters: list[str] = []
        self._greeters: list[Callable[[], None]] = []
        self._connection: Connection | None = None
        self._asking = (
            threading.Lock()
        )  # its SUBACK may come before we know under which number we asked
        self._fetching: int | None = None
        self._refused = threading.Event()
        self._stop = threading.Event()
        self.protocol = Protocol.V5
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def subscribe(
        self, topic: str, handler: Callable[[Incoming], None], *, group: str | None = None
    ) -> None:
        """
        Before `start`: have messages of this topic given to `handler`, which must only enqueue; a
        group shares them.
        """
        self._handlers[topic] = handler
        self._filters.append(f"$share/{group}/{topic}" if group else topic)

    def on_connect(self, greet: Callable[[], None]) -> None:
        """
        Before `start`: call this, which must only wake others, after each successful connection.
        """
        self._greeters.append(greet)

    def start(self) -> None:
        """Begin to connect, and to connect again."""
        self._thread.start()

    def stop(self) -> None:
        """Disconnect in order; the last will is not sent."""
        self._stop.set()
        connection = self._connection
        if connection is not None:
            connection.client.disconnect()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    @property
    def connected(self) -> bool:
        """Whether a publish has a chance now."""
        connection = self._connection
        return connection is not None and connection.client.is_connected()

    @property
    def connection(self) -> Connection | None:
        """The connection of now; None where there is none."""
        return self._connection

    @property
    def max_packet(self) -> int | None:
        """The largest packet that the broker said it takes; None where it named no limit."""
        connection = self._connection
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
        Publish and, at QoS 1, wait for the PUBACK.

        Raises:
            Unavailable: not connected, or no PUBACK in time; try again later. HungUpError: the
                broker ended the connection.
            RefusedError: the broker said no, or would say no to its size.
        """
        connection = self._connection
        if (
            connection is None or not connection.client.is_connected()
        ):  # else paho would queue it, and we would queue it again
            msg = "broker: not connected"
            raise Unavailable(msg)
        connection.publish(topic, payload, retain=retain, qos=qos, correlation=correlation)

    def fetch(self, topic: str, wait_s: float) -> bytes:
        """
        What is retained on a topic, never nothing. One at a time, and of topics that nobody
        subscribes.

        Raises:
            Unavailable: nothing came in time, the broker refuses the subscription, or there is no
                connection.
        """
        connection = self._await_connection(time.monotonic() + min(wait_s, CONNECT_S))
        with self.listen(connection, topic) as came:
            payload = _first(came, connection, wait_s, topic, self._refused)
        self._health.recover(Cause.MODEL_SUBSCRIPTION_REFUSED)
        return payload

    @contextmanager
    def listen(self, connection: Connection, topic: str) -> "Iterator[queue.SimpleQueue[Incoming]]":
        """What comes meanwhile on a topic that nobody subscribes."""
        came: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
        self._handlers[topic] = came.put
        self._refused.clear()
        # at QoS 0: else it would wait behind requests that we hold back, and behind the command
        # that wants it
        with self._asking:
            self._fetching = connection.client.subscribe(topic, qos=0)[1]
        try:
            yield came
        finally:
            connection.client.unsubscribe(topic)
            del self._handlers[topic]

    def _await_connection(self, deadline: float) -> Connection:
        """
        The connection; a message may have come through it, and have us ask, before we have noticed
        that there is one.
        """
        while (connection := self._connection) is None or not connection.client.is_connected():
            if time.monotonic() > deadline or self._stop.wait(FETCH_TURN_S):
                msg = "broker: not connected"
                raise Unavailable(msg)
        return connection

    def _run(self) -> None:
        closes = failures = 0
        while not self._stop.is_set():
            self._health.stamp("broker")
            started = time.monotonic()
            outcome = self._connect_once()
            if outcome is _Ended.LASTED:
                closes = 0
                self.protocol = Protocol.V5
                if time.monotonic() - started > STEADY_S:
                    failures = 0
                    continue
            closes = closes + 1 if outcome is _Ended.CLOSED_UNANSWERED else 0
            if outcome is _Ended.UNSUPPORTED or closes >= CLOSES_BEFORE_FALLBACK:
                self.protocol, closes = (
                    (Protocol.V311 if self.protocol is Protocol.V5 else Protocol.V5),
                    0,
                )
                if self.protocol is Protocol.V311:
                    continue
            self._pause(BACKOFF_S[min(failures, len(BACKOFF_S) - 1)])
            failures += 1
        self._health.retire("broker")

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (
            not self._stop.wait(min(1.0, max(0.0, deadline - time.monotonic())))
            and time.monotonic() < deadline
        ):
            self._health.stamp("broker")

    def _connect_once(self) -> "_Ended":
        """One connection from its beginning to its end."""
        connection = Connection(
            self._make_client(),
            self.protocol,
            self._dispatch,
            ack_s=self._settings.ack_s,
            beat=self._health.beat,
        )
        try:
            connection.client.connect(
                self._settings.host,
                self._settings.port,
                self._settings.keepalive_s,
                **self._connect_options(),
            )
        except (OSError, ValueError) as error:
            self._away(getattr(error, "strerror", None) or type(error).__name__)
            connection.release()
            return _Ended.UNREACHABLE
        connection.client.loop_start()
        try:
            return self._live(connection)
        finally:
            self._connection = None
            connection.end()
            disconnect(connection.client)
            connection.release()

    def _live(self, connection: Connection) -> "_Ended":
        deadline = time.monotonic() + CONNECT_S
        while not connection.answered.wait(0.2):
            if connection.ended.is_set():
                self._away("closed the connection before CONNACK")
                return _Ended.CLOSED_UNANSWERED
            if self._stop.is_set() or time.monotonic() > deadline:
                self._away("no CONNACK")
                return _Ended.UNREACHABLE
        if connection.reason is None or connection.reason.is_failure:
            self._away(str(connection.reason))
            return (
                _Ended.UNSUPPORTED
                if str(connection.reason) == "Unsupported protocol version"
                else _Ended.REFUSED
            )
        self._welcome(connection)
        while not connection.ended.wait(1.0) and not self._stop.is_set():
            self._health.stamp("broker")
        if not self._stop.is_set():
            self._away("connection lost")
        return _Ended.LASTED

    def _welcome(self, connection: Connection) -> None:
        log.info("event=broker_connected protocol=%s", self.protocol)
        self._health.recover(Cause.SUBSCRIPTION_REFUSED, Cause.MODEL_SUBSCRIPTION_REFUSED)
        self._fetching = None  # numbers begin anew
        connection.client.on_subscribe = self._note_suback
        for topic in self._filters:
            connection.client.subscribe(topic, qos=1)
        self._connection = connection
        self._health.recover(Cause.BROKER_AWAY)
        for greet in self._greeters:
            greet()

    def _away(self, why: str) -> None:
        self._health.degrade(Cause.BROKER_AWAY, f"broker: {why}")
        log.warning('event=broker_away why="%s"', why)

    def _make_client(self) -> Client:
        settings = self._settings
        v5 = self.protocol is Protocol.V5
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None
            if v5
            else settings.session_expiry_s == 0,  # 3.1.1 knows for ever or not at all
            protocol=MQTTProtocolVersion(self.protocol),
            # this class connects again, with a fresh client: nothing is queued twice
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if settings.username is not None or self._password is not None:
            client.username_pw_set(settings.username or "", self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._will is not None:
            topic, payload = self._will
            client.will_set(topic, payload, qos=1, retain=True)
        return client

    def _connect_options(self) -> Mapping[str, Any]:
        if self.protocol is not Protocol.V5:
            return {}
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._settings.session_expiry_s
        properties.ReceiveMaximum = self._settings.receive_maximum
        properties.MaximumPacketSize = min(self._max_incoming, LARGEST_PACKET)
        return {"clean_start": False, "properties": properties}

    def _note_suback(
        self,
        _client: Client,
        _data: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
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

    def _dispatch(self, incoming: Incoming) -> None:
        handler = self._handlers.get(incoming.topic)
        if handler is None:
            incoming.acknowledge()
        else:
            handler(incoming)


def _first(
    came: "queue.SimpleQueue[Incoming]",
    connection: Connection,
    wait_s: float,
    topic: str,
    refused: threading.Event,
) -> bytes:
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline and not connection.ended.is_set() and not refused.is_set():
        try:
            payload = came.get(timeout=FETCH_TURN_S).payload
        except queue.Empty:
            continue
        if payload:
            return payload
    why = (
        "the connection was lost"
        if connection.ended.is_set()
        else f"nothing came within {wait_s:g} s"
    )
    msg = (
        f"{topic}: "
        f"{'the broker refuses the subscription: check its ACL' if refused.is_set() else why}"
    )
    raise Unavailable(msg)


class _Ended(IntEnum):
    LASTED = 0
    UNREACHABLE = 1
    CLOSED_UNANSWERED = 2
    REFUSED = 3
    UNSUPPORTED = 4
