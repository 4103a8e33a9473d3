"""Couriers: what a sink refuses is kept and told, and tried again on a new connection."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Never, cast

import pytest

from edge.daemon.publish.courier import Courier
from edge.errors import Unavailable
from edge.health import Cause, Health, Phase
from edge.mqtt.errors import HungUpError, RefusedError
from edge.storage.ledger import Ledger, open_ledger
from edge.storage.ledger.outbox import Delivery, Outbox
from edge.storage.ledger.records import Conclusion, Submission
from tests.support.rig import PATIENCE_S

REFUSED = 20
"""More results than a courier asks for at a time."""


class Picky:
    """A sink that refuses everything until it is told otherwise."""

    name = "mqtt"
    takes: Sequence[str] = ("mqtt",)
    unavailable = Cause.MQTT_UNAVAILABLE
    refused = Cause.MQTT_REFUSED

    def __init__(self) -> None:
        self.refuses = True
        self.asked = threading.Semaphore(0)

    def send(self, delivery: Delivery) -> None:
        self.asked.release()
        if self.refuses:
            msg = f"not authorized: {delivery.seq}"
            raise RefusedError(msg)


class Full:
    """A file sink on a full disk."""

    name = "jsonl"
    takes: Sequence[str] = ("mqtt",)
    unavailable = Cause.JSONL_UNAVAILABLE
    refused = None

    def send(self, delivery: Delivery) -> None:
        msg = f"jsonl: No space left on device: {delivery.seq}"
        raise Unavailable(msg)


class BrokenOutbox:
    """An outbox whose ledger is on a failing disk."""

    def __getattr__(self, name: str) -> Never:
        msg = f"ledger: {name}: disk I/O error"
        raise Unavailable(msg)


class EmptyOutbox:
    """An outbox with nothing to deliver."""

    def pending(self, _takes: Sequence[str], **_how: object) -> list[Delivery]:
        return []

    def held(self, _takes: Sequence[str]) -> int:
        return 0

    def held_numbers(self, _takes: Sequence[str], **_how: object) -> list[int]:
        return []


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path, ["mqtt"], lambda payload, _: payload) as opened:
        opened.submissions.accept(
            Submission("i", tmp_path / "f-1", b"film.png", "folder", 1.0), "b"
        )
        opened.images.conclude(Conclusion("i", "r", "b", scored=True, render=lambda _: b"{}"))
        yield opened


def test_a_refused_result_is_kept_and_told_until_a_new_connection_takes_it(ledger: Ledger) -> None:
    health, sink = Health(), Picky()
    health.enter(Phase.READY)
    courier = Courier(sink, ledger.outbox, health)
    courier.start()
    assert sink.asked.acquire(timeout=PATIENCE_S)
    while not health.reasons:
        assert health.changed.wait(PATIENCE_S)
        health.changed.clear()
    assert health.reasons == ["mqtt: results were refused and are kept: not authorized: 1"]
    assert ledger.outbox.counts() == {"mqtt": {"waiting": 0, "held": 1}}
    sink.refuses = False
    courier.retry_held()
    assert sink.asked.acquire(timeout=PATIENCE_S)
    courier.stop(PATIENCE_S)
    assert ledger.outbox.counts() == {}
    assert health.phase is Phase.READY


def causes_once_degraded(courier: Courier, health: Health) -> list[Cause]:
    courier.start()
    while not health.reasons:
        assert health.changed.wait(PATIENCE_S)
        health.changed.clear()
    courier.stop(PATIENCE_S)
    return [cause for _, cause in health.reasons_and_causes()]


def test_a_sink_that_is_unavailable_is_told_by_its_own_code(ledger: Ledger) -> None:
    health = Health()
    courier = Courier(Full(), ledger.outbox, health)
    assert causes_once_degraded(courier, health) == [Cause.JSONL_UNAVAILABLE]


def test_a_result_that_a_file_does_not_take_as_nobody_foresaw_is_kept_and_told(
    ledger: Ledger,
) -> None:
    class Odd(Full):
        breaks = True

        def send(self, delivery: Delivery) -> None:
            if self.breaks:
                raise ValueError(delivery.seq)

    health, sink = Health(), Odd()
    courier = Courier(sink, ledger.outbox, health)
    assert courier._deliver_some()
    assert health.counters["deliveries_failed"] == 1
    assert health.reasons == [
        "a part of the daemon fails and goes on: delivery to jsonl by ValueError"
    ]
    sink.breaks = False
    courier.retry_held()
    for _ in range(2):
        courier._deliver_some()
    courier.retry_held()
    courier._deliver_some()
    assert health.reasons == []
    assert health.counters["delivered_jsonl"] == 1


def test_a_refused_result_that_meets_a_sink_that_is_away_is_told_no_more_once_it_is_delivered(
    ledger: Ledger,
) -> None:
    said = [RefusedError("no"), Unavailable("away"), None]

    class Scripted(Picky):
        def send(self, _: Delivery) -> None:
            error = said.pop(0)
            if error is not None:
                raise error

    health = Health()
    courier = Courier(Scripted(), ledger.outbox, health)
    courier._deliver_some()
    courier._next_hung_up = 0.0  # ten minutes later
    courier._deliver_some()
    courier._deliver_some()
    assert ledger.outbox.counts() == {}
    assert health.reasons == []


def answer(ledger: Ledger, number: int) -> None:
    """Have one more result wait, with that number."""
    name = f"i{number}"
    ledger.submissions.accept(Submission(name, Path(name), b"f", "folder", 1.0), "b")
    ledger.images.conclude(Conclusion(name, name, "b", scored=True, render=lambda _: b"{}"))


@pytest.mark.parametrize("restarted", [False, True])
def test_a_result_that_the_broker_hangs_up_on_for_ever_keeps_no_other_one_from_its_turn(
    ledger: Ledger, *, restarted: bool
) -> None:
    """Each hang-up is a new connection, at which what was refused is tried again."""

    class HangingUp(Picky):
        bad = frozenset({1, 2, 3})

        def send(self, delivery: Delivery) -> None:
            if delivery.seq in self.bad:
                courier.retry_held()  # the next connection
                msg = "the broker hung up"
                raise HungUpError(msg)

    def run() -> None:
        for _ in range(20):
            courier._deliver_some()

    for number in (2, 3):
        answer(ledger, number)
    sink, health = HangingUp(), Health()
    courier = Courier(sink, ledger.outbox, health)
    run()
    assert ledger.outbox.counts() == {"mqtt": {"waiting": 0, "held": 3}}
    sink.bad = frozenset({1})
    if restarted:
        courier = Courier(sink, ledger.outbox, health)
    courier._next_hung_up = 0.0  # ten minutes later
    run()
    assert ledger.outbox.held_numbers(["mqtt"]) == [1]


def test_however_many_results_are_refused_for_ever_the_others_have_their_turn(
    ledger: Ledger,
) -> None:
    """Of a PACS that refuses one report of a hundred, each after a second, say."""

    class OneByOne(Picky):
        def __init__(self) -> None:
            super().__init__()
            self.took: list[int] = []

        def send(self, delivery: Delivery) -> None:
            if delivery.seq <= REFUSED:
                super().send(delivery)
            self.took.append(delivery.seq)

    for number in range(2, REFUSED + 1):
        answer(ledger, number)
    sink, health = OneByOne(), Health()
    courier = Courier(sink, ledger.outbox, health)
    courier.hung_up_retry_s = 0.0  # as if each try took longer than all wait
    for number in range(REFUSED + 1, REFUSED + 4):
        for _ in range(3):
            courier._deliver_some()
        answer(ledger, number)
    for _ in range(3):
        courier._deliver_some()
    assert sink.took == [REFUSED + 1, REFUSED + 2, REFUSED + 3]
    courier = Courier(sink, ledger.outbox, health)  # the daemon was started again
    answer(ledger, REFUSED + 4)
    courier._deliver_some()
    assert sink.took[-1] == REFUSED + 4
    sink.refuses = False
    while courier._deliver_some():
        pass
    assert sorted(sink.took) == list(range(1, REFUSED + 5))
    assert ledger.outbox.counts() == {}
    assert health.reasons == []


def test_a_ledger_that_gives_out_no_results_is_not_held_against_the_sink() -> None:
    health = Health()
    outbox = cast(Outbox, BrokenOutbox())
    courier = Courier(Full(), outbox, health)
    assert causes_once_degraded(courier, health) == [Cause.OUTBOX_UNAVAILABLE]


def test_a_courier_with_nothing_to_do_does_not_take_back_what_another_one_told() -> None:
    health = Health()
    failing = Courier(Full(), cast(Outbox, BrokenOutbox()), health)
    idle = Courier(Picky(), cast(Outbox, EmptyOutbox()), health)
    failing.turn()
    idle.turn()
    assert [cause for _, cause in health.reasons_and_causes()] == [Cause.OUTBOX_UNAVAILABLE]
