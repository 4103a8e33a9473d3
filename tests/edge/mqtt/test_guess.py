"""MQTT 3.1.1 by guess: proved before it is used, told, and taken back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import pytest

from edge.config.settings import Broker as BrokerSettings
from edge.health import Health
from edge.mqtt import guess
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Incoming, Protocol
from edge.mqtt.guess import AGAIN_S
from edge.mqtt.spoken import Spoken
from tests.support.rig import until
from tests.support.scripted import MQTT_5, Client, Scripted, publish

Answer: TypeAlias = tuple[int, bytes] | None
MQTT_311 = 4
YES: Answer = (0, b"")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.mqtt.guess.AGAIN_S", 0.05)
    monkeypatch.setattr("edge.mqtt.backoff.BACKOFF_S", (0.02,))


@contextmanager
def connecting(
    script: Scripted,
    file: Path | None = None,
    protocol: Literal["auto", "5", "3.1.1"] = "auto",
    take: Callable[[Incoming], None] = lambda _: None,
) -> Iterator[MqttClient]:
    client = MqttClient(
        BrokerSettings(host="127.0.0.1", port=script.port, protocol=protocol),
        password=None,
        client_id="edge",
        will=None,
        health=Health(),
        max_incoming=2**20,
        spoken=Spoken(file),
    )
    client.subscribe("requests", take)
    client.start()
    try:
        yield client
    finally:
        client.stop()


def only_311(version: int, _client: str) -> Answer:
    return YES if version == MQTT_311 else None


def test_a_broker_that_closes_connections_of_5_is_spoken_to_in_3_1_1_once_that_is_proved() -> None:
    with Scripted(only_311) as script, connecting(script) as client:
        until(lambda: client.connected, "connected")
        assert script.asked == [5, 5, 4, 5, 5]
        assert [one.client_id for one in script.clients] == ["edge"]
        assert (client.protocol, client.guessed) == (Protocol.V311, True)


def test_a_proxy_whose_broker_comes_back_is_spoken_to_in_5_and_no_request_is_taken_without_it() -> (
    None
):
    taken: list[Incoming] = []
    sent: list[Client] = []
    up = False

    def proxy(version: int, _client: str) -> Answer:
        nonlocal up
        if version == MQTT_311:
            up = True
        elif up and not sent:  # before the answer that ends the connection of 3.1.1
            until(lambda: script.clients, "3.1.1 is answered")
            sent.append(script.clients[0])
            sent[0].connection.sendall(publish(b"requests", b"a private one", 7))
        return YES if up else None

    with Scripted(proxy) as script:
        with connecting(script, take=taken.append) as client:
            until(lambda: client.connected, "connected")
            assert (client.protocol, client.guessed) == (Protocol.V5, False)
            assert script.asked == [5, 5, 4, 5, 5]
        assert [one.acknowledged for one in sent] == [[]]
        assert taken == []


def test_a_request_that_came_before_the_guess_was_proved_is_taken_after_that() -> None:
    taken: list[Incoming] = []
    with Scripted(only_311) as script, connecting(script, take=taken.append) as client:
        until(lambda: script.clients, "3.1.1 is answered")
        script.clients[0].connection.sendall(publish(b"requests", b"x", 7))
        until(lambda: taken, "taken")
        assert client.connected


def test_a_broker_that_has_spoken_5_is_never_guessed_at_not_even_by_the_next_daemon(
    tmp_path: Path,
) -> None:
    up = True
    with Scripted(lambda _v, _c: YES if up else None) as script:
        with connecting(script, tmp_path / "spoken") as client:
            until(lambda: client.connected, "connected")
        up = False
        with connecting(script, tmp_path / "spoken"):
            until(lambda: len(script.asked) >= 6, "asked again and again")
        assert set(script.asked) == {5}


@pytest.mark.parametrize(
    ("protocol", "asked"), [("3.1.1", MQTT_311), ("5", MQTT_5)], ids=["3.1.1", "5"]
)
def test_a_version_that_is_configured_is_the_only_one_asked_for(
    protocol: Literal["5", "3.1.1"], asked: int
) -> None:
    unsupported = 132 if asked == MQTT_5 else 1
    for answer in (None, (unsupported, b"")):
        with (
            Scripted(lambda _v, _c, answer=answer: answer) as script,  # type: ignore[misc]
            connecting(script, protocol=protocol),
        ):
            until(lambda: len(script.asked) >= 5, "asked again and again")
        assert set(script.asked) == {asked}


def test_a_broker_that_learns_5_is_spoken_to_in_5_within_a_minute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, *later = list(zip(range(9), guess.tries(), strict=False))
    assert first[1] + 2 * AGAIN_S <= 60.0
    assert [pause for _, pause in later] == sorted(pause for _, pause in later)
    monkeypatch.setattr("edge.mqtt.guess.LATER_S", (0.05,))
    knows: set[int] = {MQTT_311}
    with (
        Scripted(lambda version, _: YES if version in knows else None) as script,
        connecting(script, tmp_path / "spoken") as client,
    ):
        until(lambda: client.connected, "connected")
        assert client.guessed
        knows.add(MQTT_5)
        until(lambda: client.connected and client.protocol is Protocol.V5, "in 5")
        assert Spoken(tmp_path / "spoken").knows("127.0.0.1", script.port)


@pytest.mark.parametrize("left", [b"", b"{", b"3", b"\xff"])
def test_a_memory_that_cannot_be_read_knows_no_broker(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "spoken").write_bytes(left)
    spoken = Spoken(tmp_path / "spoken")
    assert not spoken.knows("broker", 1883)
    spoken.note("broker", 1883)
    assert spoken.knows("broker", 1883)
