"""Requests over MQTT to a daemon that other tests asked before."""

import json
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

# paho as it is hangs up on U+FEFF, and the test's own subscriber hears its request
import edge.mqtt.connection  # noqa: F401
from deploy.demo.subscriber import Subscriber
from tests.support.rig import PATIENCE_S, TOPICS, Films, Rig, sha256, until

IMAGE = f"{TOPICS}/request/image"
REFERENCE = f"{TOPICS}/request/ref"


def replies(subscriber: Subscriber, name: str, count: int = 1) -> list[dict[str, Any]]:
    return subscriber.wait_under(name, count)


def test_an_image_sent_over_mqtt_is_answered_on_its_response_topic_only(
    daemon: Rig, films: Films, subscriber: Subscriber
) -> None:
    data = films(1)
    subscriber.publish(IMAGE, data, "mammo/v1/demo/ws/reply-1", b"\x00\x01")
    (reply,) = replies(subscriber, "reply-1")
    message = next(message for message in subscriber.messages if message.topic.endswith("reply-1"))
    assert getattr(message.properties, "CorrelationData", None) == b"\x00\x01"
    assert reply["image_id"] == sha256(data)
    until(daemon.settled, "settled")
    assert subscriber.under("result") == []


def test_an_image_without_response_topic_is_answered_on_result(
    daemon: Rig, films: Films, subscriber: Subscriber
) -> None:
    subscriber.publish(IMAGE, films(1))
    result = daemon.result_of(sha256(films(1)))
    assert result["source"]["kind"] == "mqtt"


def test_a_response_topic_that_is_not_allowed_is_answered_on_result(
    daemon: Rig, films: Films, subscriber: Subscriber
) -> None:
    forbidden = [
        "elsewhere/reply",
        f"{TOPICS}/status",
        f"{TOPICS}/command/reload",
        "mammo/v1/demo/request/image",
    ]
    before = daemon.status()["counters"].get("response_topics_refused", 0)
    for number, topic in enumerate(forbidden):
        subscriber.publish(IMAGE, films(number), topic)
    for number in range(len(forbidden)):
        daemon.result_of(sha256(films(number)))
    refused = daemon.status()["counters"]["response_topics_refused"] - before
    assert refused == len(forbidden)


def test_the_same_bytes_by_folder_and_by_two_requesters_have_one_result_id(
    daemon: Rig, films: Films, subscriber: Subscriber
) -> None:
    data = films(1)
    daemon.drop("film.png", data)
    first = daemon.result_of(sha256(data))
    for name in ("reply-1", "reply-2"):
        subscriber.publish(IMAGE, data, f"mammo/v1/demo/ws/{name}", name.encode())
    (second,), (third,) = replies(subscriber, "reply-1"), replies(subscriber, "reply-2")
    assert first["result_id"] == second["result_id"] == third["result_id"]
    assert [first["duplicate_of"], second["duplicate_of"], third["duplicate_of"]] == [
        None,
        first["seq"],
        first["seq"],
    ]
    assert len({first["seq"], second["seq"], third["seq"]}) == 3
    daemon.assert_nothing_lost({sha256(data)})


def test_a_duplicate_of_a_request_that_still_waits_is_answered_with_it(
    daemon: Rig, films: Films, subscriber: Subscriber
) -> None:
    data = films(0)
    for number in range(1, 12):  # so that there is a queue
        daemon.drop(f"{number}.png", films(number))
    subscriber.publish(IMAGE, data, "mammo/v1/demo/ws/reply-1")
    subscriber.publish(IMAGE, data, "mammo/v1/demo/ws/reply-2")
    (first,), (second,) = replies(subscriber, "reply-1"), replies(subscriber, "reply-2")
    assert first["result_id"] == second["result_id"]
    assert second["duplicate_of"] == first["seq"]


def test_a_reference_to_a_file_in_the_inbox_is_answered(
    daemon: Rig, films: Films, subscriber: Subscriber
) -> None:
    data = films(1)
    (daemon.inbox / "film.png.part").write_bytes(
        data
    )  # the folder leaves it alone, the reference names it
    subscriber.publish(
        REFERENCE,
        json.dumps({"name": "film.png.part", "sha256": sha256(data)}).encode(),
        "mammo/v1/demo/ws/reply",
    )
    (reply,) = replies(subscriber, "reply")
    assert reply["image_id"] == sha256(data)
    until(daemon.settled, "settled")
    assert daemon.left_over() == []


def test_a_reference_to_bytes_the_ledger_knows_needs_no_file(
    daemon: Rig, films: Films, subscriber: Subscriber
) -> None:
    image_id = daemon.drop("film.png", films(1))
    first = daemon.result_of(image_id)
    subscriber.publish(
        REFERENCE,
        json.dumps({"name": "gone.png", "sha256": image_id}).encode(),
        "mammo/v1/demo/ws/reply",
    )
    (reply,) = replies(subscriber, "reply")
    assert (reply["result_id"], reply["duplicate_of"]) == (first["result_id"], first["seq"])


def test_a_bad_reference_is_answered_with_the_reason(daemon: Rig, subscriber: Subscriber) -> None:
    bad = {
        b"{": "the request is not JSON",
        b'{"sha256": "00"}': "the request has no name",
        b'{"name": "a.png", "sha256": "zz"}': "the request has no sha256, expected 64 hex digits",
        json.dumps(
            {"name": "../edge.toml", "sha256": "0" * 64}
        ).encode(): "no such file in the inbox",
    }
    for number, request in enumerate(bad):
        subscriber.publish(REFERENCE, request, f"mammo/v1/demo/ws/reply-{number}")
    for number, why in enumerate(bad.values()):
        (reply,) = replies(subscriber, f"reply-{number}")
        assert reply["outcome"] == "rejected"
        assert why in reply["gate"]["reasons"][0]
    assert daemon.config.exists()


def test_a_reference_with_the_wrong_hash_is_told_and_the_file_is_left_to_the_folder(
    daemon: Rig, films: Films, subscriber: Subscriber
) -> None:
    data = films(1)
    (daemon.inbox / "film.png.part").write_bytes(data)
    subscriber.publish(
        REFERENCE,
        json.dumps({"name": "film.png.part", "sha256": "1" * 64}).encode(),
        "mammo/v1/demo/ws/reply",
    )
    (reply,) = replies(subscriber, "reply")
    assert f"the file's sha256 is {sha256(data)}" in reply["gate"]["reasons"][0]
    (daemon.inbox / "film.png.part").rename(daemon.inbox / "film.png")
    daemon.result_of(sha256(data))


def test_a_request_with_a_byte_order_mark_in_a_property_is_answered(
    daemon: Rig, films: Films, subscriber: Subscriber
) -> None:
    """Legal in MQTT 5; a client that hangs up on it is sent the same request again for ever."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = ("note", "\ufeffhello")
    subscriber._client.publish(IMAGE, films(1), qos=1, properties=properties).wait_for_publish(
        PATIENCE_S
    )
    daemon.result_of(sha256(films(1)))
