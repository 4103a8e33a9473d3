"""Images come over MQTT and results leave over MQTT, to the one who asked and to nobody else."""

import json
from pathlib import Path
from typing import Any

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

# paho as it is hangs up on U+FEFF, and the test's own subscriber hears its request
import edge.mqtt.connection  # noqa: F401
from deploy.demo.brokers import Embedded, Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.rig import TOPICS, Rig, film, sha256, until

IMAGE = f"{TOPICS}/request/image"
REFERENCE = f"{TOPICS}/request/ref"


def replies(subscriber: Subscriber, name: str, count: int = 1) -> list[dict[str, Any]]:
    return subscriber.wait_under(name, count)


def test_an_image_sent_over_mqtt_is_answered_on_its_response_topic_only(
    daemon: Rig, subscriber: Subscriber
) -> None:
    data = film(1)
    subscriber.publish(IMAGE, data, "mammo/v1/demo/ws/reply-1", b"\x00\x01")
    (reply,) = replies(subscriber, "reply-1")
    message = next(message for message in subscriber.messages if message.topic.endswith("reply-1"))
    assert getattr(message.properties, "CorrelationData", None) == b"\x00\x01"
    assert reply["image_id"] == sha256(data)
    until(daemon.settled, "settled")
    assert subscriber.under("result") == []


def test_an_image_without_response_topic_is_answered_on_result(
    daemon: Rig, subscriber: Subscriber
) -> None:
    subscriber.publish(IMAGE, film(1))
    result = daemon.result_of(sha256(film(1)))
    assert result["source"]["kind"] == "mqtt"


def test_a_response_topic_that_is_not_allowed_is_answered_on_result(
    daemon: Rig, subscriber: Subscriber
) -> None:
    forbidden = [
        "elsewhere/reply",
        f"{TOPICS}/status",
        f"{TOPICS}/command/reload",
        "mammo/v1/demo/request/image",
    ]
    for number, topic in enumerate(forbidden):
        subscriber.publish(IMAGE, film(number), topic)
    for number in range(len(forbidden)):
        daemon.result_of(sha256(film(number)))
    assert daemon.status()["counters"]["response_topics_refused"] == len(forbidden)


def test_the_same_bytes_by_folder_and_by_two_requesters_have_one_result_id(
    daemon: Rig, subscriber: Subscriber
) -> None:
    data = film(1)
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
    daemon: Rig, subscriber: Subscriber
) -> None:
    data = film(0)
    for number in range(1, 30):  # so that there is a queue
        daemon.drop(f"{number}.png", film(number))
    subscriber.publish(IMAGE, data, "mammo/v1/demo/ws/reply-1")
    subscriber.publish(IMAGE, data, "mammo/v1/demo/ws/reply-2")
    (first,), (second,) = replies(subscriber, "reply-1"), replies(subscriber, "reply-2")
    assert first["result_id"] == second["result_id"]
    assert second["duplicate_of"] == first["seq"]


def test_a_reference_to_a_file_in_the_inbox_is_answered(
    daemon: Rig, subscriber: Subscriber
) -> None:
    data = film(1)
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
    daemon: Rig, subscriber: Subscriber
) -> None:
    image_id = daemon.drop("film.png", film(1))
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
    daemon: Rig, subscriber: Subscriber
) -> None:
    data = film(1)
    (daemon.inbox / "film.png.part").write_bytes(data)
    subscriber.publish(
        REFERENCE,
        json.dumps({"name": "film.png.part", "sha256": "0" * 64}).encode(),
        "mammo/v1/demo/ws/reply",
    )
    (reply,) = replies(subscriber, "reply")
    assert f"the file's sha256 is {sha256(data)}" in reply["gate"]["reasons"][0]
    (daemon.inbox / "film.png.part").rename(daemon.inbox / "film.png")
    daemon.result_of(sha256(data))


def test_a_request_with_a_byte_order_mark_in_a_property_is_answered(
    daemon: Rig, subscriber: Subscriber
) -> None:
    """Legal in MQTT 5; a client that hangs up on it is sent the same request again for ever."""
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = ("note", "\ufeffhello")
    subscriber._client.publish(IMAGE, film(1), qos=1, properties=properties).wait_for_publish(10)
    daemon.result_of(sha256(film(1)))


def test_a_retained_request_is_ignored(
    rig: Rig, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    with Subscriber(mosquitto.port, "nothing") as sender:
        sender._client.publish(IMAGE, film(1), qos=1, retain=True).wait_for_publish(10)
    rig.ready()
    image_id = rig.drop("film.png", film(2))
    rig.result_of(image_id)
    rig.await_introduction()
    assert {message["image_id"] for message in subscriber.under("result")} == {image_id}


def test_status_says_ready_and_after_a_kill_the_broker_says_offline(
    daemon: Rig, subscriber: Subscriber
) -> None:
    subscriber.wait_for(
        lambda _: any(status.get("state") == "ready" for status in subscriber.under("status"))
    )
    status = subscriber.under("status")[-1]
    assert (status["status"], status["protocol"], status["reasons"]) == ("online", "5", [])
    daemon.kill()
    subscriber.wait_for(lambda _: subscriber.under("status")[-1]["status"] == "offline")


def test_health_has_counters_and_nobody_s_name(daemon: Rig, subscriber: Subscriber) -> None:
    (health, *_) = subscriber.wait_under("health", 1)
    assert health["schema"] == "mammo.health/1"
    assert health["queue"]["waiting"] == 0
    assert daemon.running


def test_the_whole_path_over_the_embedded_broker(tmp_path: Path, embedded: Embedded) -> None:
    with (
        Subscriber(embedded.port) as subscriber,
        Rig(tmp_path / "edge", embedded.port, subscriber) as rig,
    ):
        # ready says nothing of the broker, and this one keeps no request for later
        rig.await_introduction()
        image_id = rig.drop("film.png", film(1))
        subscriber.publish(IMAGE, film(2), "mammo/v1/demo/ws/reply", b"x")
        (reply,) = replies(subscriber, "reply")
        assert reply["image_id"] == sha256(film(2))
        rig.result_of(image_id)
        assert rig.stop() == 0


def test_requests_that_ended_the_daemon_are_refused_and_an_honest_one_is_answered(
    daemon: Rig, subscriber: Subscriber
) -> None:
    """Each is acknowledged: with a session that stays, the next start would get it again."""
    reference = IMAGE.replace("image", "ref")
    poison = {
        "surrogate": rb'{"name": "\ud83d.png", "sha256": "' + b"0" * 64 + b'"}',
        "levels": json.dumps({"name": "a/" * 1_000_000, "sha256": "0" * 64}).encode(),
        "nested": b"[" * 16_000,
    }
    for name, payload in poison.items():
        subscriber.publish(reference, payload, f"mammo/v1/demo/ws/{name}", name.encode())
    subscriber.publish(IMAGE, film(1), "mammo/v1/demo/ws/" + "a/" * 300)
    subscriber.publish(IMAGE, film(2), "mammo/v1/demo/ws/honest", b"honest")
    for name in poison:
        (refused,) = replies(subscriber, name)
        assert refused["gate"]["reasons"][0].startswith("missing: the request")
    (honest,) = replies(subscriber, "honest")
    assert honest["image_id"] == sha256(film(2))
    daemon.result_of(sha256(film(1)))
    until(lambda: daemon.status()["requests"]["in_memory"] == 0, "nothing waits", daemon.words)
    daemon.stop()
    daemon.ready()
    assert daemon.running
