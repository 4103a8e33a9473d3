"""Images come over MQTT and results leave over MQTT, to the one who asked and to nobody else."""

import json
from pathlib import Path
from typing import Any

# paho as it is hangs up on U+FEFF, and the test's own subscriber hears its request
import edge.mqtt.connection  # noqa: F401
from deploy.demo.brokers import Embedded, Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.rig import TOPICS, Rig, film, sha256, until

IMAGE = f"{TOPICS}/request/image"
REFERENCE = f"{TOPICS}/request/ref"


def replies(subscriber: Subscriber, name: str, count: int = 1) -> list[dict[str, Any]]:
    return subscriber.wait_under(name, count)


def test_a_retained_request_is_ignored(
    rig: Rig, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    with Subscriber(mosquitto.port, "nothing") as sender:
        sender.retain(IMAGE, film(1))
    rig.ready()
    image_id = rig.drop("film.png", film(2))
    rig.result_of(image_id)
    rig.await_introduction()
    assert {message["image_id"] for message in subscriber.under("result")} == {image_id}


def test_status_says_ready_and_after_a_kill_the_broker_says_offline(
    daemon: Rig, subscriber: Subscriber
) -> None:
    subscriber.wait_for(lambda _: subscriber.last("status").get("state") == "ready")
    status = subscriber.last("status")
    assert (status["status"], status["protocol"], status["reasons"]) == ("online", "5", [])
    daemon.kill()
    subscriber.wait_for(lambda _: subscriber.last("status")["status"] == "offline")


def test_health_has_counters_and_nobody_s_name(daemon: Rig, subscriber: Subscriber) -> None:
    # the first one may have been told before the inbox was watched
    subscriber.wait_for(lambda _: subscriber.last("health").get("inbox", {}).get("watches"))
    health = subscriber.last("health")
    assert health["schema"] == "mammo.health/1"
    assert health["queue"]["waiting"] == 0
    assert health["inbox"]["watches"]["used"] == 1
    assert health["inbox"]["watches"]["free"] > 0
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
