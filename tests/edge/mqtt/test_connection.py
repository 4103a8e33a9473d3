"""The connection itself, against a real mosquitto."""

import gc
import itertools
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import cast

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from deploy.demo.brokers import Mosquitto
from edge.config.settings import Broker as BrokerSettings
from edge.errors import Unavailable
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Connection, Protocol
from edge.mqtt.errors import HungUpError, RefusedError
from tests.support.rig import PATIENCE_S, until


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def broker(mosquitto: Mosquitto, health: Health) -> Iterator[MqttClient]:
    settings = BrokerSettings(host="127.0.0.1", port=mosquitto.port)
    client = MqttClient(
        settings,
        password=None,
        client_id="edge",
        will=("status", b"offline"),
        health=health,
        max_incoming=2**20,
    )
    client.start()
    until(lambda: client.connected, "connected")
    yield client
    client.stop()


def test_a_publish_returns_when_the_broker_has_it_and_leaves_nothing_behind(
    broker: MqttClient,
) -> None:
    for qos in (0, 1):
        broker.publish("somewhere", b"x", qos=qos)
    assert broker.connection is not None
    assert broker.connection._pubacks == {}


def test_a_publish_without_connection_is_kept_by_the_caller(
    broker: MqttClient, mosquitto: Mosquitto
) -> None:
    mosquitto.stop()
    until(lambda: not broker.connected, "disconnected")
    with pytest.raises(Unavailable, match="not connected"):
        broker.publish("somewhere", b"x")


def test_a_connection_that_ended_while_paho_published_is_a_hang_up() -> None:
    """
    Its thread may have written the message and seen the end before `publish` returns, which then
    says that there is no connection.
    """
    # as after the end: paho has no socket any more
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    connection = Connection(client, Protocol.V5, lambda _: None, ack_s=1.0, beat=lambda: None)
    with pytest.raises(HungUpError, match="hung up instead"):
        connection.publish("somewhere", b"x", retain=False, qos=1, correlation=None)


@contextmanager
def underway(count: int) -> Iterator[tuple[Connection, list[Future[None]]]]:
    """So many messages of which the broker has said nothing yet."""
    numbers = itertools.count(1)
    client = SimpleNamespace(
        publish=lambda *_, **__: SimpleNamespace(
            rc=MQTTErrorCode.MQTT_ERR_SUCCESS, mid=next(numbers)
        )
    )
    connection = Connection(
        cast("Client", client), Protocol.V5, lambda _: None, ack_s=PATIENCE_S, beat=lambda: None
    )
    with ThreadPoolExecutor(count) as publishers:
        published = [
            publishers.submit(connection.publish, "t", b"x", retain=False, qos=1, correlation=None)
            for _ in range(count)
        ]
        until(lambda: len(connection._acked._waiters) == count, "all wait")  # type: ignore[attr-defined]
        yield connection, published


@pytest.mark.parametrize("count", [1, 2])
def test_who_is_hung_up_on_hears_whether_it_may_have_been_for_something_else(count: int) -> None:
    with underway(count) as (connection, published):
        connection.end()
        errors = [one.exception(PATIENCE_S) for one in published]
    assert [isinstance(error, HungUpError) and error.alone for error in errors] == [
        count == 1
    ] * count


def test_the_broker_has_not_hung_up_on_what_it_had_answered() -> None:
    with underway(2) as (connection, published):
        # the publisher has not woken up when the connection ends
        with connection._acked:
            connection._pubacks[1] = ReasonCode(PacketTypes.PUBACK, "Success")
            connection.end()
        errors = [one.exception(PATIENCE_S) for one in published]
    assert None in errors
    assert [error.alone for error in errors if isinstance(error, HungUpError)] == [True]


def test_a_connection_whose_thread_ends_while_we_look_for_it_is_made_anew(
    broker: MqttClient, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paho forgets its thread between looking whether there is one and waiting for it."""

    def join(client: Client) -> None:
        until(lambda: client._thread is None, "its thread has ended")
        client._thread.join()  # type: ignore[union-attr]

    monkeypatch.setattr(Client, "loop_stop", join)
    first = broker.connection
    mosquitto.restart()
    until(lambda: broker.connected and broker.connection is not first, "connected again")


def test_a_message_larger_than_the_broker_takes_is_refused_unsent(broker: MqttClient) -> None:
    assert broker.connection is not None
    broker.connection.max_packet = 100
    with pytest.raises(RefusedError, match="message of 100 bytes, the broker takes packets of 100"):
        broker.publish("somewhere", b"x" * 100)


def test_a_refused_subscription_is_told(broker: MqttClient, health: Health) -> None:
    refused = ReasonCode(PacketTypes.SUBACK, "Not authorized")
    broker._subscriptions.note_suback(Client(CallbackAPIVersion.VERSION2), None, 1, [refused], None)
    assert health.reasons == [
        "broker: it refuses a subscription, so requests do not reach us: check its ACL"
    ]


def test_an_ended_connection_keeps_no_socket_open_until_the_garbage_collector_comes() -> None:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    ended = weakref.ref(client)
    connection = Connection(client, Protocol.V5, lambda _: None, ack_s=1.0, beat=lambda: None)
    gc.disable()
    try:
        connection.release()
        del client, connection
        assert ended() is None
    finally:
        gc.enable()


def test_what_is_retained_is_fetched_again_and_again_and_what_was_removed_is_not(
    broker: MqttClient,
) -> None:
    broker.publish("shelf/1", b"one", retain=True)
    assert [broker.fetch("shelf/1", PATIENCE_S) for _ in range(2)] == [b"one", b"one"]
    broker.publish("shelf/1", b"", retain=True)
    with pytest.raises(Unavailable, match=r"shelf/1: nothing came within 0\.2 s"):
        broker.fetch("shelf/1", 0.2)


def test_a_fetch_waits_for_the_connection_and_ends_with_it(
    mosquitto: Mosquitto, health: Health
) -> None:
    settings = BrokerSettings(host="127.0.0.1", port=mosquitto.port)
    client = MqttClient(
        settings, password=None, client_id="edge", will=None, health=health, max_incoming=2**20
    )
    with ThreadPoolExecutor(1) as other:
        fetching = other.submit(client.fetch, "nothing", PATIENCE_S)
        client.start()
        until(lambda: client.connected, "connected")
        until(lambda: "nothing" in client._subscriptions._handlers, "asked")
        mosquitto.stop()
        with pytest.raises(Unavailable, match="nothing: the connection was lost"):
            fetching.result(PATIENCE_S)
    client.stop()


def test_a_refused_subscription_of_what_is_fetched_is_told_as_that_until_it_is_granted(
    broker: MqttClient, health: Health
) -> None:
    refused = ReasonCode(PacketTypes.SUBACK, "Not authorized")
    assert broker.connection is not None
    client = broker.connection.client
    note = broker._subscriptions.note_suback
    client.on_subscribe = lambda client, data, mid, _, properties: note(
        client, data, mid, [refused], properties
    )
    with pytest.raises(
        Unavailable, match="shelf/1: the broker refuses the subscription: check its ACL"
    ):
        broker.fetch("shelf/1", PATIENCE_S)
    assert health.reasons == [
        (
            "model/available: the broker refuses our subscription, so "
            "no model comes from there: check its ACL"
        )
    ]
    client.on_subscribe = note
    broker.publish("shelf/1", b"one", retain=True)
    assert broker.fetch("shelf/1", PATIENCE_S) == b"one"
    assert health.reasons == []
