"""
docs/reference/asyncapi.yaml says what the code does: it is valid, it is current, and everything
that a daemon publishes is in it.
"""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import jsonschema
import pytest
import yaml
from paho.mqtt.client import MQTTMessage
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from deploy.tools.asyncapi.__main__ import document, render
from deploy.tools.asyncapi.channels import channels
from edge.cli.doctor.acl import ANSWER
from edge.contract import result
from edge.daemon.telemetry.status import offline
from edge.mqtt.topics import Topics
from tests.support.contract_page import examples, table
from tests.support.rig import TOPICS, Rig, film, until
from tests.support.tools import ROOT, need

DOCUMENT: Final = yaml.safe_load((ROOT / "docs/reference/asyncapi.yaml").read_text())
RESULT: Final = {"./result.schema.json": DRAFT202012.create_resource(result.schema())}
PLAIN: Final = DRAFT202012.create_resource(DOCUMENT)
REGISTRY: Final[Any] = Registry().with_resources([("urn:ours", PLAIN), *RESULT.items()])
ON: Final = """
[intake]
commands = ["replay", "reload", "model/list", "model/install", "model/activate", "model/rollback"]
feedback = ["biopsy"]
[model]
shadow = "shipped"
[homeassistant]
enabled = true
[publish]
health_s = 0.2
"""


def named(address: str) -> str:
    """An address as docs/reference/contract.md writes it."""
    return address.removeprefix("mammo/v1/{site}/{device}/").replace("{", "<").replace("}", ">")


def resolve(reference: dict[str, str]) -> Any:  # noqa: ANN401 - whatever it names
    return REGISTRY.resolver().lookup(absolute(reference)["$ref"]).contents


def absolute(reference: dict[str, Any]) -> dict[str, Any]:
    """A reference into the document, as it is seen from outside."""
    return (
        {"$ref": f"urn:ours{reference['$ref']}"}
        if reference.get("$ref", "").startswith("#")
        else reference
    )


def channel_of(topic: str) -> dict[str, Any]:
    """The one channel whose address fits."""
    found: list[dict[str, Any]] = [
        channel
        for channel in DOCUMENT["channels"].values()
        if channel["address"] and re.fullmatch(re.sub(r"{\w+}", "[^/]+", channel["address"]), topic)
    ]
    assert len(found) == 1, (topic, found)
    return found[0]


def fits(message_: dict[str, Any], payload: object) -> bool:
    schema = message_["payload"].get("schema", message_["payload"])
    return bool(
        jsonschema.Draft202012Validator(absolute(schema), registry=REGISTRY).is_valid(payload)
    )


def is_described(told: MQTTMessage) -> bool:
    """Whether exactly one message of the topic's channel is what was published."""
    messages = channel_of(told.topic)["messages"]
    return (
        sum(fits(resolve(reference), json.loads(told.payload)) for reference in messages.values())
        == 1
    )


def references(tree: object) -> Iterator[str]:
    if isinstance(tree, dict):
        yield from [tree["$ref"]] if isinstance(tree.get("$ref"), str) else []
        tree = list(tree.values())
    for below in tree if isinstance(tree, list) else []:
        yield from references(below)


def test_it_is_what_the_code_says() -> None:
    assert (ROOT / "docs/reference/asyncapi.yaml").read_text() == render()
    assert document() == DOCUMENT


def test_it_is_valid_asyncapi_3_and_every_reference_leads_somewhere() -> None:
    schema = json.loads(gzip.decompress((ROOT / "tests/data/asyncapi-3.0.0.json.gz").read_bytes()))
    jsonschema.Draft7Validator(schema).validate(DOCUMENT)
    assert not jsonschema.Draft7Validator(schema).is_valid(
        DOCUMENT | {"channels": {"x": {"adress": "x"}}}
    )
    found = set(references(DOCUMENT))
    assert len(found) > 30
    assert all(resolve({"$ref": reference}) is not None for reference in found)


def test_its_topics_are_those_of_the_contract() -> None:
    addresses = {named(channel.address) for channel in channels().values() if channel.address}
    assert addresses == set(table("Topics")) | {
        "mammo/v1/<site>/request/image",
        "<prefix>/device/<site>/<device>/config",
        "model/available/<sha256>/<number>",
    }
    rows = re.findall(
        r"^\| `([\w/]+)` \| (out|in) \| ([01]) \| (yes|no) \|",
        (ROOT / "docs/reference/contract.md").read_text(),
        re.MULTILINE,
    )
    ours = {
        (
            named(one.address),
            "out" if one.action == "send" else "in",
            str(one.qos),
            "yes" if one.retain else "no",
        )
        for one in channels().values()
        if one.address
    }
    assert len(rows) == len(table("Topics"))
    assert set(rows) <= ours


@pytest.mark.parametrize(
    "schema",
    [
        "mammo.status/1",
        "mammo.health/1",
        "mammo.info/1",
        "mammo.result/1",
        "mammo.exam/1",
        "mammo.feedback/1",
    ],
)
def test_the_contract_s_examples_are_what_it_describes(schema: str) -> None:
    (channel,) = [DOCUMENT["channels"][schema.split("/", maxsplit=1)[0].removeprefix("mammo.")]]
    for example in examples(schema):
        assert [
            name
            for name, reference in channel["messages"].items()
            if fits(resolve(reference), example)
        ] != []


def test_what_the_doctor_publishes_is_described() -> None:
    told = MQTTMessage(topic=Topics(TOPICS).command_ack("doctor").encode())
    told.payload = ANSWER
    assert is_described(told)


def test_the_last_will_is_described_by_one_message_and_something_else_by_none() -> None:
    messages = [
        resolve(reference) for reference in DOCUMENT["channels"]["status"]["messages"].values()
    ]
    assert [fits(one, json.loads(offline())) for one in messages] == [False, True]
    assert not any(fits(one, {**json.loads(offline()), "patient": "x"}) for one in messages)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> list[MQTTMessage]:
    """Everything that a daemon with everything switched on publishes in its life."""
    need("mosquitto", "mosquitto")
    folder: Path = tmp_path_factory.mktemp("asyncapi")
    with Mosquitto(folder / "mosquitto") as broker, Subscriber(broker.port, "#") as subscriber:
        with Rig(folder / "edge", broker.port, subscriber, ON) as rig:
            rig.await_introduction()  # what a shadow says before is lost
            scored = rig.result_of(rig.drop("film.png", film(1)))["image_id"]
            rig.result_of(rig.drop("no-film.png", b"x"))
            until(rig.settled, "settled")
            for number, (name, words) in enumerate(COMMANDS, 1):
                subscriber.publish(f"{TOPICS}/command/{name}", words)
                subscriber.wait_under("ack", number)
            verdict = {"image_id": scored, "truth": "benign", "basis": "biopsy", "score_seen": True}
            verdict |= {"schema": "mammo.feedback/1"}
            subscriber.publish(f"{TOPICS}/feedback", json.dumps(verdict).encode())
            assert subscriber.wait_under("feedback/ack", 1)[0]["ok"]
            subscriber.wait_under("shadow/result", 2)
            subscriber.wait_under("health", 2)
            rig.stop()
        subscriber.wait_for(lambda messages: any(offline() == told.payload for told in messages))
        return list(subscriber.messages)


COMMANDS: Final = (
    ("replay", b'{"since": 0}'),
    ("replay", b"{}"),
    ("reload", b"{}"),
    ("model/list", b"{}"),
    ("model/install", b'{"folder": "x"}'),
    ("model/activate", b'{"bundle": "shipped"}'),
    ("model/rollback", b"{}"),
)


def test_everything_that_a_daemon_publishes_is_described(heard: list[MQTTMessage]) -> None:
    ours = [told for told in heard if channel_of(told.topic) not in RECEIVED]
    assert [told.topic for told in ours if not is_described(told)] == []
    sent = {json.dumps(channel_of(told.topic)) for told in ours}
    silent = {
        name
        for name, channel in DOCUMENT["channels"].items()
        if json.dumps(channel) not in sent and channel not in RECEIVED
    }
    # the second is not the daemon's, and the shipped model sees no exam here: e2e/test_exams.py
    assert silent == {"reply", "doctorAck", "exam"}


RECEIVED: Final = [
    DOCUMENT["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
    for operation in DOCUMENT["operations"].values()
    if operation["action"] == "receive"
]


def test_what_was_asked_is_described_too(heard: list[MQTTMessage]) -> None:
    asked = [told for told in heard if channel_of(told.topic) in RECEIVED]
    assert [is_described(told) for told in asked] == [
        told.payload != b"{}" or "replay" not in told.topic for told in asked
    ]
