"""What the broker lets a device publish is found out, and nobody hears of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from paho.mqtt.publish import single

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.cli.doctor import acl as rights
from edge.cli.doctor.acl import ANSWER, Rights, look, published, subscribed
from edge.config.settings import Broker as Section
from edge.config.settings import Device, HomeAssistant, Intake, Model, Publish, Settings
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import correlated
from edge.mqtt.topics import Topics
from tests.support.rig import PATIENCE_S

PREFIX = "mammo/v1/site/edge-1"
SHORT_S = 3.0
"""What is waited for in vain, in seconds; the broker answers other things meanwhile."""
TOPICS = tuple(f"{PREFIX}/{name}" for name in ("status", "health", "info", "result", "exam"))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "WAIT_S", PATIENCE_S)


@contextmanager
def connected(port: int) -> Iterator[MqttClient]:
    section = Section(host="127.0.0.1", port=port, session_expiry_s=0)
    broker = MqttClient(
        section, password=None, client_id="doctor", will=None, health=Health(), max_incoming=10**6
    )
    there = threading.Event()
    broker.on_connect(there.set)
    broker.start()
    assert there.wait(PATIENCE_S)
    try:
        yield broker
    finally:
        broker.stop()


def looked(port: int) -> Rights:
    with connected(port) as broker:
        return look(broker, Topics(PREFIX), TOPICS)


def with_rules(mosquitto: Mosquitto, *rules: str, config: str = "") -> Mosquitto:
    """The broker with an ACL for everyone."""
    acl = mosquitto.folder / "acl"
    acl.write_text("".join(f"topic {rule}\n" for rule in rules))
    acl.chmod(0o600)
    mosquitto.config = f"acl_file {acl}\n{config}"
    return mosquitto.restart()


def test_what_the_broker_refuses_is_found_out_and_nobody_hears_of_it(mosquitto: Mosquitto) -> None:
    with_rules(mosquitto, "readwrite #", f"deny {PREFIX}/result")
    with Subscriber(mosquitto.port, "#") as subscriber:
        single(
            f"{PREFIX}/status", b"kept", 1, retain=True, hostname="127.0.0.1", port=mosquitto.port
        )
        assert looked(mosquitto.port) == Rights((*TOPICS[:3], TOPICS[4]), TOPICS[3:4], ())
        subscriber.publish("end", b"")
        subscriber.wait_for(lambda messages: any(message.topic == "end" for message in messages))
        heard = [(message.topic, message.payload) for message in subscriber.messages]
    assert heard == [
        (f"{PREFIX}/status", b"kept"),
        (f"{PREFIX}/command/doctor/ack", ANSWER),
        ("end", b""),
    ]
    with Subscriber(mosquitto.port, f"{PREFIX}/status") as later:
        later.wait_for(lambda messages: [message.payload for message in messages] == [b"kept"])


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        (
            ("readwrite #", f"deny {PREFIX}/command/doctor/ack"),
            f"the broker refuses {PREFIX}/command/doctor/ack",
        ),
        (("write #",), f"the broker does not let us read {PREFIX}/command/doctor/ack"),
    ],
)
def test_where_it_cannot_be_seen_whether_a_try_reaches_anyone_none_is_made(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch, rules: tuple[str, ...], why: str
) -> None:
    monkeypatch.setattr(rights, "WAIT_S", SHORT_S)
    found = looked(with_rules(mosquitto, *rules).port)
    assert (found.allowed, found.refused, found.untried) == ((), (), TOPICS)
    assert found.why.startswith(why)


def test_a_broker_that_cannot_hold_a_message_back_is_not_tried(mosquitto: Mosquitto) -> None:
    mosquitto.config = "max_qos 1\n"
    assert looked(mosquitto.restart().port).why == "the broker speaks no MQTT 5 with QoS 2"


def test_a_broker_that_passes_on_what_was_only_offered_is_not_tried(
    mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    def passed_on(
        self: rights._Offers, topic: str, payload: bytes, correlation: bytes | None = None
    ) -> int:
        self._client.publish(topic, payload, qos=1, properties=correlated(correlation))
        return 0

    monkeypatch.setattr(rights._Offers, "offer", passed_on)
    with Subscriber(mosquitto.port, "#") as subscriber:
        assert looked(mosquitto.port) == Rights(
            (), (), TOPICS, "this broker would pass a try on to subscribers"
        )
        subscriber.wait_under("ack", 2)
        assert {message.topic for message in subscriber.messages} == {
            f"{PREFIX}/command/doctor/ack"
        }


def test_every_topic_of_the_configuration_is_tried() -> None:
    plain, everything = (
        Settings(),
        Settings(
            device=Device(site="north", name="edge-7"),
            intake=Intake(commands=("reload", "model/list")),
            model=Model(shadow="1.2.0"),
            homeassistant=HomeAssistant(enabled=True),
        ),
    )
    assert published(plain) == list(TOPICS)
    assert subscribed(plain) == [f"{PREFIX}/request/image", f"{PREFIX}/request/ref"]
    more = ["shadow/result", "command/reload/ack", "command/model/list/ack"]
    assert [
        topic.removeprefix("mammo/v1/north/edge-7/") for topic in published(everything)[5:]
    ] == [
        *more,
        "homeassistant/device/north/edge-7/config",
    ]
    assert subscribed(everything)[2:] == [
        "mammo/v1/north/edge-7/command/reload",
        "mammo/v1/north/edge-7/command/model/list",
    ]
    alone = Settings(intake=Intake(mqtt=False), publish=Publish(mqtt=False))
    assert (published(alone), subscribed(alone)) == (list(TOPICS[:3]), [])
    deaf = Settings(intake=Intake(commands=("reload",)), publish=Publish(mqtt=False))
    assert (published(deaf), subscribed(deaf)) == (list(TOPICS[:3]), subscribed(plain))
