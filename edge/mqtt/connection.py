"""
One MQTT connection, from CONNECT to its end.

A message counts as delivered when its PUBACK is here: the thread that publishes waits for it on a
condition, to which paho's thread hands PUBACKs by packet identifier. Until then the message stays
in the outbox, which sends it again on the next connection. So paho must queue nothing: each
connection has a paho client of its own, and nothing is published while it is not connected.

A PUBACK may come late, behind a large request that is still arriving. The wait therefore goes on
while the kernel receives anything, and only a broker that is silent for `ack_s` is given up.
Some brokers end the connection instead of refusing a message. If that message was the only one on
its way, it is the suspect (`HungUpError.alone`); otherwise any of them may be.

The condition's lock is never held while paho is called, because paho calls back with its own locks
held. Incoming messages are acknowledged by whoever took them to safety, and only on the connection
that delivered them: on a later one the packet identifier may stand for another message.
"""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import Unavailable
from edge.mqtt import reasons
from edge.mqtt.errors import HungUpError, RefusedError
from edge.system import workarounds

REFUSED: Final = 0x80
"""Reason codes from here on are refusals."""
ENDED: Final = frozenset({MQTTErrorCode.MQTT_ERR_NO_CONN, MQTTErrorCode.MQTT_ERR_CONN_LOST})
OVERHEAD: Final = 64
"""More than a PUBLISH needs beside topic, correlation data and payload, in bytes."""

workarounds.accept_byte_order_marks()


class Protocol(IntEnum):
    """MQTT versions, numbered as in paho."""

    V5 = MQTTProtocolVersion.MQTTv5
    V311 = MQTTProtocolVersion.MQTTv311

    def __str__(self) -> str:
        return "5" if self is Protocol.V5 else "3.1.1"


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """A message whose PUBACK is not sent yet."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None
    correlation: bytes | None
    acknowledge: Callable[[], None]
    """Send the PUBACK on the connection that delivered the message; a no-op on any other."""
    stale: Callable[[], bool]
    """Return True if that connection is gone: the broker will deliver the message again."""
    again: bool = False
    """True if the broker says (DUP) that it delivered the message before."""
    qos: int = 1
    """At 0 the broker does not deliver the message again."""
    user: tuple[tuple[str, str], ...] = ()
    """The user properties, names and values, in their order."""


class Connection:
    """
    One connection.

    Args:
        client: not connected yet.
        protocol: the version that the client speaks.
        deliver: is given each message, in paho's thread, and may only enqueue.
        ack_s: how long to wait for a PUBACK while nothing comes, in seconds.
        beat: called now and then by a thread that waits longer.
    """

    def __init__(
        self,
        client: Client,
        protocol: Protocol,
        deliver: Callable[[Incoming], None],
        *,
        ack_s: float,
        beat: Callable[[], None],
    ) -> None:
        self._ack_s = ack_s
        self._beat = beat
        self.client = client
        self.protocol = protocol
        self.answered = threading.Event()
        self.ended = threading.Event()
        self.reason: ReasonCode | None = None
        """The answer to CONNECT."""
        self.farewell: ReasonCode | None = None
        """The reason that the broker gave for ending the connection, in MQTT 5."""
        self.max_packet: int | None = None
        self.max_qos, self.receive_maximum = 2, 65535  # the defaults if CONNACK names none
        self._deliver = deliver
        self._given_up = False
        self._on_their_way = 0
        """Messages without a PUBACK."""
        self._suspects = 0
        """Messages without a PUBACK when the connection ended."""
        self._pubacks: dict[int, ReasonCode] = {}
        """By packet identifier, until the publisher takes them."""
        self._acked = threading.Condition()
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message

    def release(self) -> None:
        """Break the reference cycle so the sockets close now, not at the next collection."""
        release(self.client)

    def end(self) -> None:
        """Wake everyone who waits, because the connection is gone."""
        with self._acked:
            if not self.ended.is_set():
                self._suspects = self._on_their_way - len(self._pubacks)
            self.ended.set()
            self._acked.notify_all()

    def publish(
        self, topic: str, payload: bytes, *, retain: bool, qos: int, correlation: bytes | None
    ) -> None:
        """
        Publish, and wait until the broker has the message (QoS 1) or it is written (QoS 0).

        Raises:
            Unavailable: no PUBACK in time.
            HungUpError: the broker ended the connection.
            RefusedError: the broker refused the message, or would refuse its size.
        """
        size = len(payload) + len(topic.encode()) + len(correlation or b"") + OVERHEAD
        if self.max_packet is not None and size > self.max_packet:
            msg = f"message of {len(payload)} bytes, the broker takes packets of {self.max_packet}"
            raise RefusedError(msg)
        properties = correlated(correlation) if self.protocol is Protocol.V5 else None
        with self._acked:
            self._on_their_way += 1
        try:
            info = self.client.publish(
                topic, payload, qos=qos, retain=retain, properties=properties
            )
            # paho's thread may write the message, and see the end, before `publish` returns
            if info.rc in ENDED:
                raise self._hung_up()
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                msg = f"broker: {info.rc.name}"
                raise Unavailable(msg)
            reason = self._await_puback(info.mid)
        finally:
            with self._acked:
                self._on_their_way -= 1
        if reason.value >= REFUSED:
            msg = f"the broker refused it: {reason}"
            raise RefusedError(msg)

    def _await_puback(self, mid: int) -> ReasonCode:
        """Wait for a PUBACK as long as the kernel receives anything from the broker."""
        with self._acked:
            while not self._acked.wait_for(
                lambda: mid in self._pubacks or self.ended.is_set(), self._ack_s
            ):
                if not self._heard_within(self._ack_s):
                    break
                self._beat()
            reason = self._pubacks.pop(mid, None)
        if reason is not None:
            return reason
        if self.ended.is_set() and not self._given_up:
            self._raise_if_blamed()
            raise self._hung_up()
        self._given_up = True
        self.client.disconnect()  # half open: begin anew, the outbox sends again
        msg = "broker: no PUBACK"
        raise Unavailable(msg)

    def _raise_if_blamed(self) -> None:
        """Raise RefusedError if the broker said that it ended the connection for this message."""
        if self._suspects == 1 and self.farewell and self.farewell.value in reasons.AT_ONE_MESSAGE:
            msg = f"the broker hung up on it: {reasons.in_words(self.farewell)}"
            raise RefusedError(msg)

    def _hung_up(self) -> HungUpError:
        said = f": {reasons.in_words(self.farewell)}" if self.farewell else ""
        return HungUpError(
            f"broker: hung up instead of a PUBACK{said}",
            alone=self.ended.is_set() and self._suspects == 1,
        )

    def _heard_within(self, seconds: float) -> bool:
        """Return True if the kernel received anything lately, even a part of a message."""
        connection = self.client.socket()
        if not isinstance(connection, socket.socket):
            return False
        silent_s = workarounds.silent_s(connection)
        return silent_s is not None and silent_s < seconds

    def _on_connect(
        self,
        _client: Client,
        _data: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self.reason = reason
        self.max_packet = getattr(properties, "MaximumPacketSize", None)
        self.max_qos = getattr(properties, "MaximumQoS", self.max_qos)
        self.receive_maximum = getattr(properties, "ReceiveMaximum", self.receive_maximum)
        self.answered.set()

    def _on_disconnect(
        self,
        _client: Client,
        _data: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self.farewell = reason
        self.end()

    def _on_publish(
        self, _client: Client, _data: object, mid: int, reason: ReasonCode, _properties: Properties
    ) -> None:
        with self._acked:
            self._pubacks[mid] = reason
            self._acked.notify_all()

    def _on_message(self, client: Client, _data: object, message: MQTTMessage) -> None:
        incoming = Incoming(
            topic=message.topic,
            payload=bytes(message.payload),
            retained=message.retain,
            response_topic=getattr(message.properties, "ResponseTopic", None),
            correlation=getattr(message.properties, "CorrelationData", None),
            acknowledge=lambda: _acknowledge(client, message),
            stale=lambda: not client.is_connected(),
            again=message.dup,
            qos=message.qos,
            user=tuple(getattr(message.properties, "UserProperty", ())),
        )
        self._deliver(incoming)


def disconnect(client: Client) -> None:
    """End a connection in order, and wait for paho's thread."""
    client.disconnect()
    workarounds.stop_loop(client)


def release(client: Client) -> None:
    """Have a client that has ended call nobody, as it and who is called would hold each other."""
    client.on_connect = client.on_disconnect = None
    client.on_publish = client.on_message = client.on_subscribe = None
    workarounds.forget_packets(client)


def correlated(correlation: bytes | None) -> Properties | None:
    """Return the properties of a PUBLISH with correlation data; None without such data."""
    if correlation is None:
        return None
    made = Properties(PacketTypes.PUBLISH)
    made.CorrelationData = correlation
    return made


def _acknowledge(client: Client, message: MQTTMessage) -> None:
    if client.is_connected():
        client.ack(message.mid, message.qos)
