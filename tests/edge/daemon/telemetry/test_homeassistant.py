"""The device appears in Home Assistant by itself where that is wanted, and goes again."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.config.settings import Broker as BrokerSettings
from edge.config.settings import Device, HomeAssistant, Settings
from edge.daemon.telemetry.homeassistant import FILE, Discovery, discovery_messages
from edge.daemon.telemetry.status import offline
from edge.health import Health
from edge.mqtt.client import MqttClient
from tests.support.proxy import Proxy
from tests.support.rig import until
from tests.support.tools import ROOT

TOPIC = "homeassistant/device/north/edge-1/config"
EXAMPLES = [
    json.loads(block)
    for block in re.findall(
        r"^```json\n(.*?)^```$",
        (ROOT / "docs/reference/contract.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
]
# Home Assistant's templates give states, not pages
JINJA = Environment(autoescape=False)  # noqa: S701


def settings(*, enabled: bool = True, prefix: str = "homeassistant") -> Settings:
    return Settings(
        device=Device(site="north", name="edge-1"),
        homeassistant=HomeAssistant(enabled=enabled, prefix=prefix),
    )


def device() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(discovery_messages(settings())[TOPIC])
    return found


def component(name: str) -> dict[str, Any]:
    found: dict[str, Any] = device()["components"][f"mammo-edge-north-edge-1-{name}"]
    return found


def example(schema: str) -> dict[str, Any]:
    return next(found for found in EXAMPLES if found.get("schema") == schema)


def shown(template: str, payload: dict[str, Any]) -> str:
    """What Home Assistant makes of a message."""
    return JINJA.from_string(template).render(value_json=payload)


@contextmanager
def connected(
    mosquitto: Mosquitto | Proxy, state: Path, wanted: dict[str, bytes]
) -> Iterator[tuple[Discovery, Health]]:
    """A device's connection to its broker, and what keeps its discovery."""
    health = Health()
    where = BrokerSettings(host="127.0.0.1", port=mosquitto.port)
    broker = MqttClient(
        where, password=None, client_id="edge", will=None, health=health, max_incoming=2**20
    )
    discovery = Discovery(broker, health, state, wanted)
    broker.start()
    try:
        yield discovery, health
    finally:
        broker.stop()


def after(discovery: Discovery, true: Callable[[], object]) -> None:
    """Let it work until something is true."""

    def turned() -> object:
        discovery.turn()
        return true()

    until(turned, "told")


def remembered(state: Path) -> list[str]:
    return json.loads((state / FILE).read_text()) if (state / FILE).exists() else []


def retained(mosquitto: Mosquitto, topic: str = "#") -> dict[str, bytes]:
    """What a Home Assistant that starts now is told."""
    with Subscriber(mosquitto.port, topic) as late:
        late.publish("last", b"x")
        late.wait_for(lambda messages: any(message.topic == "last" for message in messages))
        return {
            message.topic: bytes(message.payload) for message in late.messages if message.retain
        }


def test_nothing_is_announced_unless_it_is_enabled() -> None:
    assert discovery_messages(Settings()) == {}
    assert list(discovery_messages(settings())) == [TOPIC]
    assert list(discovery_messages(settings(prefix="ha/found"))) == [
        "ha/found/device/north/edge-1/config"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("waiting", "3"),
        ("undelivered", "5"),
        ("results", str(example("mammo.health/1")["queue"]["last_seq"])),
    ],
)
def test_the_sensors_show_what_health_says(name: str, value: str) -> None:
    health = example("mammo.health/1")
    health["queue"]["waiting"] = 3
    health["outbox"] = {"mqtt": {"waiting": 3, "held": 1}, "jsonl": {"waiting": 1, "held": 0}}
    assert shown(component(name)["value_template"], health) == value
    assert component(name)["state_topic"] == "mammo/v1/north/edge-1/health"


@pytest.mark.parametrize(
    ("payload", "state", "problem", "available"),
    [
        (example("mammo.status/1"), "ready", "OFF", "online"),
        (
            example("mammo.status/1") | {"state": "degraded", "reasons": ["spool: full"]},
            "degraded",
            "ON",
            "online",
        ),
        (json.loads(offline()), "offline", "OFF", "offline"),
    ],
    ids=["ready", "degraded", "last will"],
)
def test_state_problem_and_availability_come_from_status(
    payload: dict[str, Any], state: str, problem: str, available: str
) -> None:
    assert shown(component("state")["value_template"], payload) == state
    assert state in component("state")["options"]
    assert shown(component("problem")["value_template"], payload) == problem
    told = json.loads(shown(component("problem")["json_attributes_template"], payload))
    assert told == {"reasons": payload.get("reasons", [])}
    assert shown(device()["availability_template"], payload) == available
    assert available in {device()["payload_available"], device()["payload_not_available"]}
    assert (
        device()["availability_topic"]
        == component("state")["state_topic"]
        == "mammo/v1/north/edge-1/status"
    )


def test_every_component_has_what_home_assistant_requires_and_an_id_of_its_own() -> None:
    parts = device()["components"]
    assert {part["platform"] for part in parts.values()} == {"sensor", "binary_sensor"}
    assert [part["unique_id"] for part in parts.values()] == list(parts)
    assert {"identifiers", "name", "sw_version"} <= device()["device"].keys()
    assert device()["origin"]["name"] == "mammo-edge"


def test_no_two_devices_have_the_same_ids() -> None:
    """Whatever hyphens are in their names; those of a site without one are as they were."""
    words = ["a", "b", "a-b", "b-a", "a-", "a-b-a", "a--b", "a_b", "a-state", "state"]
    ids: list[str] = []
    for site, name in itertools.product(words, words):
        made = Settings(
            device=Device(site=site, name=name), homeassistant=HomeAssistant(enabled=True)
        )
        ((_, payload),) = discovery_messages(made).items()
        ids += json.loads(payload)["components"]
    assert len(set(ids)) == len(ids)
    assert "mammo-edge-a-b-a-state" in ids


def test_the_message_is_kept_by_the_broker_and_cleared_when_it_is_switched_off(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    with connected(mosquitto, tmp_path, discovery_messages(settings())) as (discovery, _):
        after(discovery, lambda: retained(mosquitto))
    assert retained(mosquitto) == discovery_messages(settings())
    assert remembered(tmp_path) == [TOPIC]
    with connected(mosquitto, tmp_path, {}) as (discovery, _):
        after(discovery, lambda: not remembered(tmp_path))
    assert retained(mosquitto) == {}


def test_a_device_that_is_renamed_leaves_nothing_under_its_old_name(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    other = discovery_messages(settings(prefix="other"))
    for wanted in (discovery_messages(settings()), other):
        with connected(mosquitto, tmp_path, wanted) as (discovery, _):
            after(discovery, lambda wanted=wanted: remembered(tmp_path) == list(wanted))  # type: ignore[misc]
    assert retained(mosquitto) == other


def test_a_broker_that_forgot_it_is_told_again(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with connected(mosquitto, tmp_path, discovery_messages(settings())) as (discovery, _):
        after(discovery, lambda: retained(mosquitto))
        with Subscriber(mosquitto.port, "x") as someone:
            someone.publish("x", b"")
        mosquitto.stop()
        (mosquitto.folder / "mosquitto.db").unlink()
        mosquitto.start()
        after(discovery, lambda: retained(mosquitto))


def test_a_broker_that_refuses_it_is_a_reason_and_no_more(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    (tmp_path / "acl").write_text("topic readwrite mammo/#\n")
    mosquitto.config = f"acl_file {tmp_path}/acl\n"
    mosquitto.restart()
    with connected(mosquitto, tmp_path, discovery_messages(settings())) as (discovery, health):
        after(discovery, lambda: health.reasons)
        assert health.reasons == [
            "homeassistant: the broker refused it: Not authorized: check the broker's ACL"
        ]


def test_a_broker_that_hangs_up_on_it_is_told_no_more(mosquitto: Mosquitto, tmp_path: Path) -> None:
    with (
        Proxy(mosquitto.port, hang_up_on=TOPIC.encode()) as proxy,
        connected(proxy, tmp_path, discovery_messages(settings())) as (discovery, health),
    ):
        after(
            discovery,
            lambda: any(
                reason.startswith("homeassistant: the broker hangs up on it")
                for reason in health.reasons
            ),
        )
        broker = discovery._broker
        until(lambda: broker.connected, "connected again")
        discovery.turn()
        broker.publish("somewhere", b"the connection lasts")
    assert proxy.hang_ups == 2
