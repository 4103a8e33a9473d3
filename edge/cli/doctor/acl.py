"""
A test of publish rights with QoS 2 messages that are never completed, so no subscriber sees them.

At QoS 2 a broker accepts or refuses a message (PUBREC) before the sender releases it to subscribers
(PUBREL): MQTT 5, section 4.3.3. `doctor` never sends PUBREL, and the offers end with the
connection. Some brokers pass a message on before PUBREL ("method B"). So the broker is watched
first, with a message that misleads nobody: the answer to a command that does not exist.
"""

import json
import queue
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from paho.mqtt.client import Client
from paho.mqtt.enums import MQTTErrorCode

from edge.config.settings import Settings
from edge.daemon.telemetry.homeassistant import messages as discovery
from edge.errors import Unavailable
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import REFUSED, Connection, Protocol, RefusedError, correlated

WATCHED: Final = "{prefix}/command/doctor/ack"
"""The example ACL lets a device read `command/#` and write answers."""
ANSWER: Final = json.dumps(
    {"schema": "mammo.ack/1", "command": "doctor", "ok": True}, separators=(",", ":")
).encode()
WAIT_S: Final = 2.0
"""Seconds to wait for an answer of the broker."""
EXACTLY_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Rights:
    """The broker's answer for each topic."""

    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    untried: tuple[str, ...]
    why: str = ""
    """The reason for untried topics, as part of a sentence."""


def subscribed(settings: Settings) -> list[str]:
    """
    Return the topics that the daemon subscribes to, except the shared one.

    A subscriber to the shared topic would take images away from other devices.
    """
    names = [
        *(("request/image", "request/ref") if settings.intake.mqtt else ()),
        *(f"command/{name}" for name in _commands(settings)),
    ]
    return [f"{settings.topic_prefix}/{name}" for name in names]


def published(settings: Settings) -> list[str]:
    """Return the topics that the daemon publishes to, except response topics."""
    names = ["status", "health", *(["result"] if settings.publish.mqtt else [])]
    names += ["shadow/result"] if settings.model.shadow else []
    names += [f"command/{name}/ack" for name in _commands(settings)]
    return [*(f"{settings.topic_prefix}/{name}" for name in names), *discovery(settings)]


def _commands(settings: Settings) -> Sequence[str]:
    """Return the commands that the daemon obeys: none if it publishes nothing."""
    return settings.intake.commands if settings.publish.mqtt else ()


def look(broker: MqttClient, prefix: str, topics: Sequence[str]) -> Rights:
    """
    Offer an empty message on each topic.

    Args:
        broker: a connected client.
        prefix: `mammo/v1/<site>/<device>`.
        topics: the topics to try, each with one message.
    """
    connection = broker.connection
    if (
        connection is None
        or connection.protocol is not Protocol.V5
        or connection.max_qos < EXACTLY_ONCE
    ):
        return Rights((), (), tuple(topics), "the broker speaks no MQTT 5 with QoS 2")
    offers = _Offers(connection.client)
    said: dict[str, int] = {}
    try:
        if why := _why_not(broker, connection, offers, WATCHED.format(prefix=prefix)):
            return Rights((), (), tuple(topics), why)
        for topic in topics[: connection.receive_maximum - 1]:
            said[topic] = offers.offer(topic, b"")
        why = "the broker takes no more at a time"
    except Unavailable as error:
        why = str(error)
    allowed, refused = (
        tuple(topic for topic, code in said.items() if (code >= REFUSED) is bad)
        for bad in (False, True)
    )
    untried = tuple(topic for topic in topics if topic not in said)
    return Rights(allowed, refused, untried, why if untried else "")


def _why_not(broker: MqttClient, connection: Connection, offers: "_Offers", topic: str) -> str:
    """
    Say why offers cannot be tried; empty if the broker holds back what was only offered.

    Raises:
        Unavailable: the broker gives no answer.
    """
    offered, published = uuid.uuid4().bytes, uuid.uuid4().bytes
    with broker.listen(connection, topic) as came:
        try:
            if offers.offer(topic, ANSWER, offered) >= REFUSED:
                return (
                    f"the broker refuses {topic}, by which it would be "
                    "seen whether a try reaches anyone"
                )
            connection.publish(topic, ANSWER, retain=False, qos=1, correlation=published)
            while (found := came.get(timeout=WAIT_S).correlation) not in {offered, published}:
                continue
        except (queue.Empty, RefusedError):
            return (
                f"the broker does not let us read {topic}, by which it would "
                "be seen whether a try reaches anyone"
            )
    return "this broker would pass a try on to subscribers" if found == offered else ""


class _Offers:
    """
    Messages that a broker is asked to take and never told to pass on.

    Takes over the handling of PUBREC in paho's client, which has no way to withhold PUBREL.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._answers: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        client._handle_pubrec = self._note  # type: ignore[method-assign]  # noqa: SLF001

    def offer(self, topic: str, payload: bytes, correlation: bytes | None = None) -> int:
        """
        Offer a message and return the reason code of PUBREC.

        Raises:
            Unavailable: the broker gives no answer.
        """
        mid = self._client.publish(
            topic, payload, qos=EXACTLY_ONCE, properties=correlated(correlation)
        ).mid
        try:
            while (answer := self._answers.get(timeout=WAIT_S))[0] != mid:
                continue
        except queue.Empty:
            msg = f"the broker did not answer, or hung up, when it was offered {topic}"
            raise Unavailable(msg) from None
        return answer[1]

    def _note(self) -> MQTTErrorCode:
        """Note a PUBREC: a packet identifier, and a reason code unless the code is 0."""
        packet = bytes(self._client._in_packet["packet"])  # noqa: SLF001
        self._answers.put((int.from_bytes(packet[:2], "big"), packet[2] if len(packet) > 2 else 0))  # noqa: PLR2004
        return MQTTErrorCode.MQTT_ERR_SUCCESS
