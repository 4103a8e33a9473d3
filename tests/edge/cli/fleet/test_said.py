"""What a device says is shown only if it is what the schema says, whoever wrote it."""

import json

import pytest

from edge.cli.fleet.heard import Heard
from edge.cli.fleet.said import LARGEST, Device, devices_of
from tests.support import fleet

NAME = "north/edge-1"


def said(kind: str, message: object, name: str = NAME) -> Device:
    """A device that sent one message."""
    heard = Heard()
    payload = message if isinstance(message, bytes) else json.dumps(message).encode()
    heard.note(f"mammo/v1/{name}/{kind}", payload)
    (device,) = devices_of(heard.payloads)
    return device


@pytest.mark.parametrize(
    ("kind", "message", "why"),
    [
        ("info", b"\xff", "the whole of it: Invalid JSON"),
        ("info", b"[" * 60_000, "the whole of it: Invalid JSON"),
        ("info", b" " * (LARGEST + 1), "65537 bytes, expected 65536 at most"),
        ("info", fleet.info("north/edge-2"), "it says that it is of north/edge-2"),
        ("info", fleet.info(NAME, schema="mammo.info/9"), "schema: Input should be 'mammo.info/1'"),
        ("info", fleet.info(NAME, audit={"number": -1, "hash": "0" * 64}), "audit.number: "),
        ("info", fleet.info(NAME, signature="me\x1b[2J"), "signature: String should match"),
        ("status", fleet.status(status="there"), "status: Input should be 'online' or 'offline'"),
        ("health", fleet.health(NAME, [1] * 19), "drift.counts: List should have at least 20"),
        ("health", fleet.health(NAME, [10**400] * 20), "drift.counts.0: "),
        ("health", fleet.health(NAME, [1] * 20, "x"), "model.bundle: String should match"),
    ],
)
def test_a_malformed_message_is_left_out_and_the_reason_repeats_nothing_of_it(
    kind: str, message: object, why: str
) -> None:
    device = said(kind, message)
    assert getattr(device, kind) is None
    assert device.malformed[kind].startswith(why)
    assert "\x1b" not in device.malformed[kind]


def test_counts_that_do_not_add_up_to_the_images_are_malformed() -> None:
    message = fleet.health(NAME, [1] * 20)
    message["drift"]["images"] = 500
    assert "counts add up to 20, expected 500" in said("health", message).malformed["health"]


def test_a_topic_that_names_no_device_is_malformed_whatever_it_says() -> None:
    device = said("status", fleet.status(), "north/\x1b[2J")
    assert (device.status, device.malformed) == (None, {"status": "its topic names no device"})


def test_fields_of_a_newer_release_are_ignored() -> None:
    newer = fleet.info(NAME, later={"x": 1})
    newer["clock"] |= {"leap": True}
    device = said("info", newer)
    assert device.malformed == {}
    assert device.info is not None
    assert device.info.version == newer["version"]
    codes = said("status", fleet.status(reason_codes=["of_a_newer_release"]))
    assert codes.status is not None


def test_info_of_an_older_release_without_the_first_number_is_no_fault() -> None:
    device = said("info", fleet.info(NAME, audit={"number": 9, "hash": "0" * 64}))
    assert device.malformed == {}
    assert device.info is not None
    assert device.as_json()["info"]["audit"] == {"number": 9, "hash": "0" * 64, "first": None}


def test_health_of_an_older_release_without_counts_is_no_fault() -> None:
    older = fleet.health(NAME, [1] * 20)
    del older["drift"]["counts"], older["drift"]["reference"]
    device = said("health", older)
    assert (device.malformed, device.health is None) == ({}, False)


def test_a_message_that_is_taken_away_is_forgotten() -> None:
    heard = Heard()
    heard.note(f"mammo/v1/{NAME}/info", b"{}")
    heard.note(f"mammo/v1/{NAME}/info", b"")
    assert devices_of(heard.payloads) == []
