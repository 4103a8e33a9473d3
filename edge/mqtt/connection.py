"""One MQTT connection, from CONNECT to its end: who publishes waits here for the PUBACK."""

import contextlib
import logging
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from paho.mqtt import MQTTException
from paho.mqtt import properties as paho_properties
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.errors import Unavailable

log = logging.getLogger(__name__)

REFUSED: Final = 0x80
ENDED: Final = frozenset({MQTTErrorCode.MQTT_ERR_NO_CONN, MQTTErrorCode.MQTT_ERR_CONN_LOST})
OVERHEAD: Final = 64
"""More than a PUBLISH needs beside topic, correlation data and payload, in bytes."""
LAST_DATA_RECEIVED: Final = 52
"""Where struct tcp_info holds tcpi_last_data_recv, in milliseconds."""


class Protocol(IntEnum):
    """MQTT versions, as paho numbers them."""

    V5 = MQTTProtocolVersion.MQTTv5
    V311 = MQTTProtocolVersion.MQTTv311

    def __str__(self) -> str:
        return "5" if self is Protocol.V5 else "3.1.1"


class RefusedError(Exception):
    """The broker took the message and refused it: sending it again as it is will not help."""


class HungUpError(Unavailable):
    """
    The connection ended while we waited for the PUBACK: chance, or a broker that hangs up on what
    it refuses.

    Args:
        why: for the log.
        alone: whether nothing else was on its way, which it may have hung up on instead.
    """

    def __init__(self, why: str, *, alone: bool = True) -> None:
        super().__init__(why)
        self.alone = alone


class HangUps:
    """
    How often in a row the broker hung up on one kind of message.

    One that hangs up on what it denies, as some do, would do so at each connection, and nothing
    else would get through: so whoever sends such messages goes without them once there were too
    many. Results are blamed last, see `edge.daemon.publish`.
    """

    MOST: Final = 2

    def __init__(self) -> None:
        self._count = 0

    @property
    def too_many(self) -> bool:
        """Whether to go without."""
        return self._count >= self.MOST

    def note(self, error: Exception) -> bool:
        """Count what came instead of a PUBACK; True where it is one hang-up too many."""
        if not isinstance(error, HungUpError):
            return False
        self._count += 1
        return self.too_many

    def end(self) -> None:
        """The broker took one."""
        self._count = 0


@dataclass(frozen=True, slots=True, eq=False)
class Incoming:
    """A message of which the broker has not been told yet that we have it."""

    topic: str
    payload: bytes
    retained: bool
    response_topic: str | None
    correlation: bytes | None
    acknowledge: Callable[[], None]
    """Send the PUBACK, on the connection that delivered it; on any other it does nothing."""
    stale: Callable[[], bool]
    """Whether that connection is gone: the broker will deliver the message again."""
    again: bool = False
    """Whether the broker says (DUP) that it delivered this before."""


class Connection:
    """
    One connection.

    Args:
        client: not connected yet.
        protocol: what it speaks.
        deliver: is given what comes, in paho's thread: it may only enqueue.
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
        self.max_packet: int | None = None
        self.max_qos, self.receive_maximum = 2, 65535  # what holds where CONNACK says nothing
        self._deliver = deliver
        self._given_up = False
        self._on_their_way = self._suspects = (
            0  # messages without an answer; those when the connection ended
        )
        self._pubacks: dict[
            int, ReasonCode
        ] = {}  # by packet identifier, until the publisher takes them
        self._acked = (
            threading.Condition()
        )  # never held while calling paho: its callbacks come with paho's own locks held
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message

    def release(self) -> None:
        """
        After the end: client and connection name each other, and its sockets would stay open until
        Python looks for such circles.
        """
        client = self.client
        client.on_connect = client.on_disconnect = client.on_publish = client.on_message = (
            client.on_subscribe
        ) = None

    def end(self) -> None:
        """The connection is gone: nobody need wait for it any longer."""
        with self._acked:
            if not self.ended.is_set():
                self._suspects = self._on_their_way - len(self._pubacks)
            self.ended.set()
            self._acked.notify_all()

    def publish(
        self, topic: str, payload: bytes, *, retain: bool, qos: int, correlation: bytes | None
    ) -> None:
        """
        Publish and wait until the broker has it (QoS 1) or it is written (QoS 0).

        Raises:
            Unavailable: no PUBACK in time. HungUpError: the broker ended the connection.
            RefusedError: the broker said no, or would say no to its size.
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
            if (
                info.rc in ENDED
                # paho's thread may have written it, and seen the end, before `publish` returned to
                # us
            ):
                raise self._hung_up()
            if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                msg = f"broker: {info.rc.name}"
                raise Unavailable(msg)
            reason = self._await(info.mid)
        finally:
            with self._acked:
                self._on_their_way -= 1
        if reason.value >= REFUSED:
            msg = f"the broker refused it: {reason}"
            raise RefusedError(msg)

    def _await(self, mid: int) -> ReasonCode:
        """
        Wait for a PUBACK; as long as anything comes in, it may stand in line behind a large
        request.
        """
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
            raise self._hung_up()
        self._given_up = True
        self.client.disconnect()  # half open: begin anew, the outbox sends again
        msg = "broker: no PUBACK"
        raise Unavailable(msg)

    def _hung_up(self) -> HungUpError:
        return HungUpError(
            "broker: hung up instead of a PUBACK", alone=self.ended.is_set() and self._suspects == 1
        )

    def _heard_within(self, seconds: float) -> bool:
        """
        Whether the kernel has received anything from the broker lately, be it a part of a message.
        """
        connection = self.client.socket()
        if not isinstance(connection, socket.socket):
            return False
        try:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        except OSError:
            return False
        (last_ms,) = struct.unpack_from("=I", info, LAST_DATA_RECEIVED)
        return bool(last_ms < seconds * 1000)

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
        _flags: DisconnectFlags,
        _reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
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
        )
        self._deliver(incoming)


def disconnect(client: Client) -> None:
    """End a connection in order, and wait for paho's thread."""
    client.disconnect()
    with contextlib.suppress(
        AttributeError
    ):  # the thread may end while `loop_stop` looks for it: eclipse-paho/paho.mqtt.python issue 872
        client.loop_stop()


def correlated(correlation: bytes | None) -> Properties | None:
    """What a PUBLISH of MQTT 5 carries beside topic and payload."""
    if correlation is None:
        return None
    made = Properties(PacketTypes.PUBLISH)
    made.CorrelationData = correlation
    return made


def _acknowledge(client: Client, message: MQTTMessage) -> None:
    if client.is_connected():
        client.ack(message.mid, message.qos)


def _read_utf8(buffer: bytes, most: int) -> tuple[str, int]:
    """
    As paho's, but for U+FEFF: it is legal in MQTT 5, brokers pass it on, and refusing it ends every
    connection for ever.
    """
    length = int.from_bytes(buffer[:2], "big")
    if most < 2 or length > most - 2:  # noqa: PLR2004 - the length itself
        msg = "a string is longer than what holds it"
        raise MQTTException(msg)
    return bytes(buffer[2 : 2 + length]).decode(), length + 2


paho_properties.readUTF = _read_utf8
