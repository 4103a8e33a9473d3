"""The brokers the other tests and the demo stand on."""

import gc
import weakref
from pathlib import Path

import pytest

from deploy.demo.brokers import Broker, Embedded, Mosquitto
from deploy.demo.subscriber import Subscriber


@pytest.fixture(params=["mosquitto", "embedded"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found: Broker = request.getfixturevalue(request.param)
    return found


def test_request_keeps_its_response_topic_and_correlation_data(broker: Broker) -> None:
    with Subscriber(broker.port) as listener:
        listener.publish(
            "mammo/v1/site/edge/request/image", bytes(10_000_000), "mammo/v1/replies/1", b"abc"
        )
        message = listener.wait_for(lambda messages: next(iter(messages), None))
    assert len(message.payload) == 10_000_000
    assert message.properties is not None
    assert message.properties.json() == {
        "ResponseTopic": "mammo/v1/replies/1",
        "CorrelationData": b"abc".hex(),
    }


def test_mosquitto_killed_right_after_its_puback_still_delivers(mosquitto: Mosquitto) -> None:
    with (
        Subscriber(mosquitto.port, "mammo/v1/other") as other,
        Subscriber(mosquitto.port) as listener,
    ):
        other.publish("mammo/v1/site/edge/status", b"{}")
        listener.wait_under("status", 1)
        mosquitto.kill()
        mosquitto.start()
        other.publish("mammo/v1/site/edge/status", b"{}")
        assert len(listener.wait_under("status", 2)) >= 2


def test_mosquitto_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"mosquitto did not start: .*no_such_key"):
        Mosquitto(tmp_path, "no_such_key 1\n").start()


def test_embedded_broker_is_gone_after_stop(tmp_path: Path) -> None:
    with Embedded(tmp_path) as broker:
        process = broker.process
    assert process is not None
    assert process.poll() is not None


def test_a_subscriber_that_ended_keeps_no_socket_open_until_the_garbage_collector_comes(
    mosquitto: Mosquitto,
) -> None:
    gc.disable()
    try:
        with Subscriber(mosquitto.port) as subscriber:
            client = weakref.ref(subscriber._client)
        del subscriber
        assert client() is None
    finally:
        gc.enable()
