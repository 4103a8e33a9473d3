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
from edge.mqtt.client import Broker
from edge.mqtt.connection import HungUpError, Protocol, RefusedError, Session
from tests.support.rig import until


@pytest.fixture
def health() -> Health:
    return Health()


@pytest.fixture
def broker(mosquitto: Mosquitto, health: Health) -> Iterator[Broker]:
    settings = BrokerSettings(host="127.0.0.1", port=mosquitto.port, ack_s=0.5)
    connection = Broker(
        settings,
        password=None,
        client_id="edge",
        will=("status", b"offline"),
        health=health,
        max_incoming=2**20,
    )
    connection.start()
    until(lambda: connection.connected, "connected")
    yield connection
    connection.stop()


def test_a_publish_returns_when_the_broker_has_it_and_leaves_nothing_behind(broker: Broker) -> None:
    for qos in (0, 1):
        broker.publish("somewhere", b"x", qos=qos)
    assert broker._session is not None
    assert broker._session._pubacks == {}


def test_a_publish_without_connection_is_kept_by_the_caller(
    broker: Broker, mosquitto: Mosquitto
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
    client = Client(
        CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5
    )  # as after the end: paho has no socket any more
    session = Session(client, Protocol.V5, lambda _: None, ack_s=1.0, beat=lambda: None)
    with pytest.raises(HungUpError, match="hung up instead"):
        session.publish("somewhere", b"x", retain=False, qos=1, correlation=None)


@contextmanager
def underway(count: int) -> Iterator[tuple[Session, list[Future[None]]]]:
    """So many messages of which the broker has said nothing yet."""
    numbers = itertools.count(1)
    client = SimpleNamespace(
        publish=lambda *_, **__: SimpleNamespace(
            rc=MQTTErrorCode.MQTT_ERR_SUCCESS, mid=next(numbers)
        )
    )
    session = Session(
        cast("Client", client), Protocol.V5, lambda _: None, ack_s=30.0, beat=lambda: None
    )
    with ThreadPoolExecutor(count) as publishers:
        published = [
            publishers.submit(session.publish, "t", b"x", retain=False, qos=1, correlation=None)
            for _ in range(count)
        ]
        until(lambda: len(session._acked._waiters) == count, "all wait")  # type: ignore[attr-defined]
        yield session, published


@pytest.mark.parametrize("count", [1, 2])
def test_who_is_hung_up_on_hears_whether_it_may_have_been_for_something_else(count: int) -> None:
    with underway(count) as (session, published):
        session.end()
        errors = [one.exception(timeout=30) for one in published]
    assert [isinstance(error, HungUpError) and error.alone for error in errors] == [
        count == 1
    ] * count


def test_the_broker_has_not_hung_up_on_what_it_had_answered() -> None:
    with underway(2) as (session, published):
        with session._acked:  # who waits for the answer has not woken up when the connection ends
            session._pubacks[1] = ReasonCode(PacketTypes.PUBACK, "Success")
            session.end()
        errors = [one.exception(timeout=30) for one in published]
    assert None in errors
    assert [error.alone for error in errors if isinstance(error, HungUpError)] == [True]


def test_a_connection_whose_thread_ends_while_we_look_for_it_is_made_anew(
    broker: Broker, mosquitto: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paho forgets its thread between looking whether there is one and waiting for it."""

    def join(client: Client) -> None:
        until(lambda: client._thread is None, "its thread has ended")
        client._thread.join()  # type: ignore[union-attr]

    monkeypatch.setattr(Client, "loop_stop", join)
    first = broker.session
    mosquitto.restart()
    until(lambda: broker.connected and broker.session is not first, "connected again")


def test_a_message_larger_than_the_broker_takes_is_refused_unsent(broker: Broker) -> None:
    assert broker._session is not None
    broker._session.max_packet = 100
    with pytest.raises(RefusedError, match="message of 100 bytes, the broker takes packets of 100"):
        broker.publish("somewhere", b"x" * 100)


def test_a_refused_subscription_is_told(broker: Broker, health: Health) -> None:
    refused = ReasonCode(PacketTypes.SUBACK, "Not authorized")
    broker._note_suback(Client(CallbackAPIVersion.VERSION2), None, 1, [refused], None)
    assert health.reasons == [
        "broker: it refuses a subscription, so requests do not reach us: check its ACL"
    ]


def test_a_session_that_has_ended_keeps_no_socket_open_until_the_garbage_collector_comes() -> None:
    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    ended = weakref.ref(client)
    session = Session(client, Protocol.V5, lambda _: None, ack_s=1.0, beat=lambda: None)
    gc.disable()
    try:
        session.release()
        del client, session
        assert ended() is None
    finally:
        gc.enable()


def test_what_is_retained_is_fetched_again_and_again_and_what_was_removed_is_not(
    broker: Broker,
) -> None:
    broker.publish("shelf/1", b"one", retain=True)
    assert [broker.fetch("shelf/1", 10) for _ in range(2)] == [b"one", b"one"]
    broker.publish("shelf/1", b"", retain=True)
    with pytest.raises(Unavailable, match=r"shelf/1: nothing came within 0\.2 s"):
        broker.fetch("shelf/1", 0.2)


def test_a_fetch_waits_for_the_connection_and_ends_with_it(
    mosquitto: Mosquitto, health: Health
) -> None:
    settings = BrokerSettings(host="127.0.0.1", port=mosquitto.port)
    connection = Broker(
        settings, password=None, client_id="edge", will=None, health=health, max_incoming=2**20
    )
    with ThreadPoolExecutor(1) as other:
        fetching = other.submit(connection.fetch, "nothing", 60.0)
        connection.start()
        until(lambda: connection.connected, "connected")
        until(lambda: "nothing" in connection._handlers, "asked")
        mosquitto.stop()
        with pytest.raises(Unavailable, match="nothing: the connection was lost"):
            fetching.result(60)
    connection.stop()


def test_a_refused_subscription_of_what_is_fetched_is_told_as_that_until_it_is_granted(
    broker: Broker, health: Health
) -> None:
    refused = ReasonCode(PacketTypes.SUBACK, "Not authorized")
    assert broker._session is not None
    client = broker._session.client
    client.on_subscribe = lambda client, data, mid, _, properties: broker._note_suback(
        client, data, mid, [refused], properties
    )
    with pytest.raises(
        Unavailable, match="shelf/1: the broker refuses the subscription: check its ACL"
    ):
        broker.fetch("shelf/1", 60)
    assert health.reasons == [
        (
            "model/available: the broker refuses our subscription, so "
            "no model comes from there: check its ACL"
        )
    ]
    client.on_subscribe = broker._note_suback
    broker.publish("shelf/1", b"one", retain=True)
    assert broker.fetch("shelf/1", 10) == b"one"
    assert health.reasons == []
