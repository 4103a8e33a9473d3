"""
Rights to publish at the broker, tried so that no message reaches anyone.

At QoS 2 a broker says if it takes a message (PUBREC) before it is told to pass the message on
(PUBREL): MQTT 5, 4.3.3. `doctor` never sends PUBREL, and its messages end with the connection. Some
brokers pass a message on before PUBREL ("method B"). So the broker is watched first, with a message
that misleads nobody: the answer to a command that does not exist.
"""

import queue
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from paho.mqtt.client import Client

from edge.config.settings import Settings
from edge.contract import messages
from edge.daemon.telemetry.homeassistant import discovery_messages
from edge.errors import Unavailable
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import REFUSED, Connection, Protocol, correlated
from edge.mqtt.errors import RefusedError
from edge.mqtt.topics import FEEDBACK, Topics
from edge.storage.ledger.exam_sinks import EXAM
from edge.system.workarounds import WithheldRelease

NOBODY: Final = "doctor"
"""
A command that does not exist. The example ACL lets a device read `command/#` and write answers.
"""
ANSWER: Final = messages.encode(messages.Answer(schema=messages.ACK, command=NOBODY, ok=True))
WAIT_S: Final = 2.0
"""Seconds to wait for an answer of the broker."""
EXACTLY_ONCE: Final = 2


@dataclass(frozen=True, slots=True)
class Rights:
    """Topics by the broker's answer to a message on them."""

    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    untried: tuple[str, ...]
    why: str = ""
    """A sentence on topics that were not tried."""


def subscribed(settings: Settings) -> list[str]:
    """
    Return the topics that the daemon subscribes, except the shared one.

    Listening there would take away messages that another device is to get.
    """
    topics = Topics.of(settings.device)
    requests = (topics.request_image, topics.request_ref) if settings.intake.mqtt else ()
    return [*requests, *(topics.command(name) for name in _commands(settings))]


def published(settings: Settings) -> list[str]:
    """Return the topics that the daemon publishes to, except response topics."""
    topics = Topics.of(settings.device)
    found = [topics.status, topics.health, topics.info]
    found += [topics.result] if settings.publish.mqtt else []
    found += [topics.exam] if EXAM in settings.exam_sinks else []
    found += [topics.shadow_result] if settings.model.shadow else []
    found += [topics.command_ack(name) for name in _commands(settings)]
    return [*found, *discovery_messages(settings)]


def _commands(settings: Settings) -> Sequence[str]:
    """Return the commands that the daemon obeys, and verdicts: none if it publishes nothing."""
    if not settings.publish.mqtt:
        return ()
    return (*settings.intake.commands, *([FEEDBACK] if settings.intake.feedback else []))


def look(broker: MqttClient, ours: Topics, topics: Sequence[str]) -> Rights:
    """
    Offer an empty message on each topic.

    Args:
        broker: connected.
        ours: the topics of this device.
        topics: those to try.
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
        if why := _why_not(broker, connection, offers, ours.command_ack(NOBODY)):
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
    Return why nothing may be offered to this broker; empty if it holds back what is offered.

    Raises:
        Unavailable: the broker did not answer.
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
    """Messages that a broker is asked to take and never told to pass on."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._withheld = WithheldRelease(client)

    def offer(self, topic: str, payload: bytes, correlation: bytes | None = None) -> int:
        """
        Offer a message, and return the reason code of PUBREC.

        Raises:
            Unavailable: the broker did not answer.
        """
        mid = self._client.publish(
            topic, payload, qos=EXACTLY_ONCE, properties=correlated(correlation)
        ).mid
        try:
            while (answer := self._withheld.answers.get(timeout=WAIT_S))[0] != mid:
                continue
        except queue.Empty:
            msg = f"the broker did not answer, or hung up, when it was offered {topic}"
            raise Unavailable(msg) from None
        return answer[1]
