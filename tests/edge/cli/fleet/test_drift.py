"""Counts of many devices are added up where model and reference are the same."""

import json

from edge.cli.fleet.drift import drift_of
from edge.cli.fleet.heard import Heard
from edge.cli.fleet.said import devices_of
from edge.daemon.telemetry.drift import index_of
from tests.support import fleet
from tests.support.fleet import ONE, OTHER, health

ALL_IN_ONE = [0] * 19 + [200]
SPREAD = [10] * 20


def heard(*messages: dict[str, object]) -> dict[str, dict[str, bytes]]:
    made = Heard()
    for message in messages:
        topic = f"mammo/v1/{message['site']}/{message['device']}/health"
        made.note(topic, json.dumps(message).encode())
    return made.payloads


def test_devices_of_one_bundle_and_reference_are_added_up_and_others_stand_apart() -> None:
    found = drift_of(
        devices_of(
            heard(
                health("north/a", SPREAD),
                health("north/b", ALL_IN_ONE),
                health("north/c", SPREAD, ONE, [9] * 20),
                health("south/d", SPREAD, OTHER),
            )
        )
    )
    names = [[one["device"] for one in row["devices"]] for row in found["bundles"]]
    assert names == [["north/a", "north/b"], ["north/c"], ["south/d"]]
    summed = [10] * 19 + [210]
    both = found["bundles"][0]
    assert (both["images"], both["counts"]) == (400, summed)
    assert both["index"] == index_of(summed, [7] * 20)
    assert both["index"] > 0.25
    assert [one["index"] for one in both["devices"]] == [None, None]  # 200 images each: too few


def test_a_bundle_without_a_reference_has_no_index() -> None:
    (row,) = drift_of(devices_of(heard(health("a/b", [100] * 20, ONE, [0] * 20))))["bundles"]
    assert (row["images"], row["index"]) == (2000, None)


def test_a_device_that_sent_no_counts_is_named() -> None:
    made = heard(health("a/b", SPREAD)) | {"a/old": {"status": json.dumps(fleet.status()).encode()}}
    assert drift_of(devices_of(made))["silent"] == ["a/old"]
