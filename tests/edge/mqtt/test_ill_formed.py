"""Packets that no standard allows are dropped and counted, and the connection lives."""

from collections.abc import Iterator

import pytest

from edge.config.settings import Broker as BrokerSettings
from edge.health import Cause, Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Incoming
from tests.support.rig import PATIENCE_S, until
from tests.support.scripted import Scripted, packet, publish, string

TOPIC = b"requests"
RESPONSE, USER, EXPIRY = b"\x08", b"\x26", b"\x02"
"""Identifiers of properties."""


@pytest.fixture
def script() -> Iterator[Scripted]:
    with Scripted() as broker:
        yield broker


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def taken(script: Scripted, health: Health) -> Iterator[list[Incoming]]:
    """The messages that a client connected to the script takes and acknowledges."""
    came: list[Incoming] = []

    def take(incoming: Incoming) -> None:
        if incoming.payload == b"raises":
            raise ZeroDivisionError
        came.append(incoming)
        incoming.acknowledge()

    client = MqttClient(
        BrokerSettings(host="127.0.0.1", port=script.port),
        password=None,
        client_id="edge",
        will=None,
        health=health,
        max_incoming=2**20,
    )
    client.subscribe(TOPIC.decode(), take)
    client.start()
    until(lambda: script.clients and script.clients[-1].subscribed, "subscribed")
    yield came
    client.stop()


ILL_FORMED = {
    "half a surrogate pair": RESPONSE + string(b"\xed\xa0\xbd"),
    "no UTF-8": RESPONSE + string(b"\xff\xfe"),
    "a property twice": (RESPONSE + string(b"a")) * 2,
    "an unknown property": b"\x7f\x00",
    "a property of another packet": b"\x11\x00\x00\x00\x01",
    "a string longer than its packet": RESPONSE + b"\xff\xffabc",
    "a number that is cut off": EXPIRY + b"\x00",
    "a user property without value": USER + string(b"name"),
}


@pytest.mark.parametrize("properties", ILL_FORMED.values(), ids=ILL_FORMED.keys())
def test_a_message_with_ill_formed_properties_is_acknowledged_dropped_and_counted(
    script: Scripted, taken: list[Incoming], health: Health, properties: bytes
) -> None:
    script.send(publish(TOPIC, b"x", 7, properties=properties))
    script.send(publish(TOPIC, b"x", 0, properties=properties))
    script.send(publish(TOPIC, b"honest", 8))
    until(lambda: script.acknowledged == [7, 8], "both acknowledged")
    assert [incoming.payload for incoming in taken] == [b"honest"]
    assert health.counters["ill_formed_packets"] == 2
    assert script.asked == [5]


def test_a_topic_that_is_no_utf_8_is_acknowledged_dropped_and_counted(
    script: Scripted, taken: list[Incoming], health: Health
) -> None:
    script.send(publish(b"\xed\xa0\xbd", b"x", 7) + publish(TOPIC, b"honest", 8))
    until(lambda: script.acknowledged == [7, 8], "both acknowledged")
    assert [incoming.payload for incoming in taken] == [b"honest"]
    assert health.counters["ill_formed_packets"] == 1


def test_a_message_whose_handler_raises_ends_neither_connection_nor_thread(
    script: Scripted, taken: list[Incoming], health: Health
) -> None:
    script.send(publish(TOPIC, b"raises", 7) + publish(TOPIC, b"honest", 8))
    until(lambda: script.acknowledged == [7, 8], "both acknowledged")
    assert len(taken) == health.counters["ill_formed_packets"] == 1


@pytest.mark.parametrize(
    "ill_formed",
    [
        packet(0x90, b"\x00"),
        packet(0x40, b"\x00\x01\x10\x05\x1f\xff"),
        packet(0xB0, b""),
        packet(0xF0, b"\x18"),
        packet(0x32, b"\x00\x20top"),
    ],
    ids=["SUBACK", "PUBACK", "UNSUBACK", "AUTH", "PUBLISH without identifier"],
)
def test_another_ill_formed_packet_ends_the_connection_and_the_next_one_works(
    script: Scripted, taken: list[Incoming], health: Health, ill_formed: bytes
) -> None:
    script.send(ill_formed)
    until(lambda: len(script.clients) == 2 and script.clients[1].subscribed, "connected again")
    script.send(publish(TOPIC, b"honest", 8))
    until(lambda: taken, "taken")
    assert health.reasons == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0x8B, "it shuts down"),
        (0x95, "a packet of ours is too large for it"),
        (0x97, "a quota of it is used up"),
        (0x87, "check its access rules"),
        (0x8D, "keepalive_s"),
    ],
)
def test_the_reason_for_which_the_broker_ends_a_connection_is_told_in_words(
    script: Scripted, taken: list[Incoming], health: Health, code: int, words: str
) -> None:
    said: list[str] = []
    degrade = health.degrade

    def note(cause: Cause, reason: str) -> None:
        said.append(reason)
        degrade(cause, reason)

    health.degrade = note  # type: ignore[method-assign]
    script.hang_up(code)
    until(lambda: said, "told")
    assert words in said[0]
    assert taken == []


def test_a_client_id_that_another_client_takes_is_told_and_not_fought_over(
    script: Scripted, taken: list[Incoming], health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.mqtt.reconnect.TAKEN_OVER_S", PATIENCE_S)
    script.hang_up(0x8E)
    until(
        lambda: Cause.CLIENT_ID_TAKEN in [cause for _, cause in health.reasons_and_causes()],
        "told",
    )
    assert health.counters["connections_taken_over"] == 1
    assert "two devices of one name" in " ".join(health.reasons)
    assert taken == []
    assert script.asked == [5]
