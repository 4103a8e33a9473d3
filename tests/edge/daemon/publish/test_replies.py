"""Replies: a bad one costs results nothing, rests with its topic, and is given up in time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.config.settings import Broker as BrokerSettings
from edge.daemon.publish.courier import Courier
from edge.daemon.publish.mqtt import MqttSink, ReplySink
from edge.daemon.publish.replies import ReplyCourier
from edge.errors import Unavailable
from edge.health import Cause, Health
from edge.mqtt.client import MqttClient
from edge.mqtt.errors import HungUpError, RefusedError
from edge.mqtt.topics import Topics
from edge.storage.ledger import Ledger, open_ledger
from edge.storage.ledger.outbox import Delivery
from edge.storage.ledger.records import Conclusion, Submission
from tests.support.rig import until
from tests.support.scripted import Heard, Scripted, packet


class Broker(ReplySink):
    """A sink that does what a test says, topic by topic, and notes what it took."""

    def __init__(self) -> None:
        self.does: dict[str, Callable[[], None]] = {}
        self.tried: list[tuple[int, str]] = []
        self.took: list[int] = []

    def send(self, delivery: Delivery) -> None:
        topic = delivery.response_topic or ""
        self.tried.append((delivery.seq, topic))
        self.does.get(topic, lambda: None)()
        self.took.append(delivery.seq)


class Clock:
    """Lived time."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("edge.daemon.publish.replies.time", made)
    monkeypatch.setattr("edge.daemon.publish.courier.time", made)
    return made


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, ["mqtt"], lambda payload, _: payload) as opened:
        yield opened


def answer(ledger: Ledger, name: str, topic: str | None) -> None:
    """Have an image examined for whoever waits at a topic; None for everyone."""
    ledger.submissions.accept(
        Submission(name, Path(name), b"f", "mqtt", 1.0, response_topic=topic), "b"
    )
    ledger.images.conclude(Conclusion(name, f"r-{name}", "b", scored=True, render=lambda _: b"{}"))


def hang_up() -> None:
    msg = "broker: hung up instead of a PUBACK"
    raise HungUpError(msg)


def refuse() -> None:
    msg = "the broker refused it: Not authorized"
    raise RefusedError(msg)


def explode() -> None:
    msg = "Invalid topic."
    raise ValueError(msg)


def test_a_topic_at_which_the_broker_hangs_up_rests_and_the_others_are_answered(
    ledger: Ledger, clock: Clock
) -> None:
    broker, health = Broker(), Health()
    broker.does["bad"] = hang_up
    courier = ReplyCourier(broker, ledger.outbox, health, 3600.0)
    for number, topic in enumerate(["bad", "good", "bad", "good"]):
        answer(ledger, str(number), topic)
    courier._deliver_some()
    clock.now += 10.0
    courier._deliver_some()
    courier._deliver_some()
    assert broker.took == [2, 4]
    assert broker.tried.count((1, "bad")) == 1
    assert (3, "bad") not in broker.tried
    assert [cause for _, cause in health.reasons_and_causes()] == [Cause.REPLIES_REFUSED]
    broker.does.clear()
    clock.now += 61.0
    courier._deliver_some()
    courier._deliver_some()
    assert broker.took == [2, 4, 1, 3]
    assert ledger.outbox.counts() == {}


def test_topics_that_rest_are_tried_again_one_at_a_time(ledger: Ledger, clock: Clock) -> None:
    broker = Broker()
    courier = ReplyCourier(broker, ledger.outbox, Health(), 36_000.0)
    for number in range(12):
        broker.does[f"bad/{number}"] = hang_up
        answer(ledger, str(number), f"bad/{number}")
    for _ in range(12):
        courier._deliver_some()
    assert len(broker.tried) == 12
    for _ in range(24):
        clock.now += 61.0
        courier._deliver_some()
        courier._deliver_some()
    assert [seq for seq, _ in broker.tried[12:36]] == [*range(1, 13)] * 2


def test_after_a_hang_up_the_connection_is_left_to_the_results_for_longer_each_time(
    ledger: Ledger, clock: Clock
) -> None:
    courier = ReplyCourier(Broker(), ledger.outbox, Health(), 3600.0)
    pauses = []
    for _ in range(6):
        courier._note_hang_up()
        pauses.append(courier._pause_until - clock.now)
    assert pauses == [6.0, 12.0, 24.0, 48.0, 60.0, 60.0]


@pytest.mark.parametrize("does", [refuse, hang_up, explode], ids=["denied", "hung up", "raises"])
def test_a_reply_that_is_never_taken_is_given_up_in_time_whatever_keeps_it(
    ledger: Ledger, clock: Clock, does: Callable[[], None]
) -> None:
    broker, health = Broker(), Health()
    broker.does["bad"] = does
    courier = ReplyCourier(broker, ledger.outbox, health, 3600.0)
    answer(ledger, "1", "bad")
    answer(ledger, "2", "bad")
    for _ in range(70):
        courier.retry_held()
        courier._deliver_some()
        assert health.counters["replies_given_up"] == 0 or clock.now > 4600.0
        clock.now += 60.0
    assert health.counters["replies_given_up"] == 2
    assert broker.took == []
    assert ledger.outbox.counts() == {}
    assert health.reasons == []
    assert courier._since == courier._tried == {}


def test_a_result_that_raises_anything_is_held_with_its_reason_and_the_next_one_goes(
    ledger: Ledger,
) -> None:
    class Raising(MqttSink):
        def __init__(self) -> None:
            self.took: list[int] = []

        def send(self, delivery: Delivery) -> None:
            if delivery.seq == 1:
                raise KeyError
            self.took.append(delivery.seq)

    sink, health = Raising(), Health()
    answer(ledger, "1", None)
    answer(ledger, "2", None)
    Courier(sink, ledger.outbox, health)._deliver_some()
    assert sink.took == [2]
    assert ledger.outbox.counts() == {"mqtt": {"waiting": 0, "held": 1}}
    assert health.counters["deliveries_failed"] == 1
    assert health.reasons == ["mqtt: results were refused and are kept: KeyError"]


def test_an_outbox_that_works_again_is_told_although_the_broker_is_away(ledger: Ledger) -> None:
    def away() -> None:
        msg = "broker: not connected"
        raise Unavailable(msg)

    broker, health = Broker(), Health()
    broker.does["topic"] = away
    answer(ledger, "1", "topic")
    courier = ReplyCourier(broker, ledger.outbox, health, 3600.0)
    pending = ledger.outbox.pending
    ledger.outbox.pending = lambda *_: away()  # type: ignore[method-assign, assignment]
    courier._deliver_some()
    assert [cause for _, cause in health.reasons_and_causes()] == [Cause.OUTBOX_UNAVAILABLE]
    ledger.outbox.pending = pending  # type: ignore[method-assign]
    courier._deliver_some()
    assert [cause for _, cause in health.reasons_and_causes()] == [Cause.REPLIES_UNAVAILABLE]


def test_what_a_failing_ledger_did_not_release_is_released_later(ledger: Ledger) -> None:
    broker = Broker()
    broker.does["topic"] = refuse
    answer(ledger, "1", "topic")
    courier = ReplyCourier(broker, ledger.outbox, Health(), 3600.0)
    courier._deliver_some()
    broker.does.clear()
    release_held = ledger.outbox.release_held

    def fail(*_: object, **__: object) -> None:
        ledger.outbox.release_held = release_held  # type: ignore[method-assign]
        msg = "ledger: disk I/O error"
        raise Unavailable(msg)

    ledger.outbox.release_held = fail  # type: ignore[method-assign]
    courier.retry_held()
    courier._deliver_some()
    courier._deliver_some()
    assert broker.took == [1]


def test_results_pass_twelve_replies_at_which_the_broker_hangs_up(ledger: Ledger) -> None:
    def puback(heard: Heard) -> int | bytes:
        return packet(0xE0, b"\x81\x00") if "/bad/" in heard.topic else 0

    for number in range(12):
        answer(ledger, f"bad {number}", f"mammo/bad/{number}")
    for number in range(5):
        answer(ledger, f"good {number}", None)
    health = Health()
    with Scripted(puback=puback) as script:
        client = MqttClient(
            BrokerSettings(host="127.0.0.1", port=script.port),
            password=None,
            client_id="edge",
            will=None,
            health=health,
            max_incoming=2**20,
        )
        topics = Topics("mammo/v1/a/b")
        couriers = [
            ReplyCourier(ReplySink(client, topics, bytes), ledger.outbox, health, 3600.0),
            Courier(MqttSink(client, topics, bytes), ledger.outbox, health),
        ]
        client.start()
        until(lambda: client.connected, "connected")
        for courier in couriers:
            courier.start()
        until(lambda: sum(heard.topic == topics.result for heard in script.heard) >= 5, "results")
        until(lambda: ledger.outbox.counts().keys() == {"reply"}, "results are through")
        for courier in couriers:
            courier.stop()
        client.stop()
    assert len(script.asked) < 12  # connections: replies wait longer after each hang-up
