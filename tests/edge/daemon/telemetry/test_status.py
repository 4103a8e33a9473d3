"""`status` over MQTT, where the broker hangs up on it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.contract import messages
from edge.daemon.telemetry import status
from edge.daemon.telemetry.status import (
    CHANCE_RETRY_S,
    HUNG_UP_RETRY_S,
    Announcer,
    StatusPublisher,
)
from edge.health import Cause, Health
from edge.mqtt.connection import Protocol
from edge.mqtt.errors import HungUpError, RefusedError
from edge.mqtt.topics import Topics
from tests.support.contract_page import examples

REPORT = messages.Health.model_validate(examples("mammo.health/1")[0])


class Line:
    """A broker that hangs up on `status` as often as told."""

    connected, protocol = True, Protocol.V5

    def __init__(self, hang_ups: int) -> None:
        self.hang_ups = hang_ups
        self.tries = 0

    def publish(self, topic: str, _payload: bytes, *, retain: bool = False, qos: int = 1) -> None:
        assert (retain, qos) == (topic.endswith("/status"), int(topic.endswith("/status")))
        if retain:
            self.tries += 1
            if self.tries <= self.hang_ups:
                msg = "broker: hung up instead of a PUBACK"
                raise HungUpError(msg)


@pytest.mark.parametrize(
    ("taken_before", "silence_s"), [(False, HUNG_UP_RETRY_S), (True, CHANCE_RETRY_S)]
)
def test_after_two_hang_ups_the_results_have_the_connection_for_a_while(
    monkeypatch: pytest.MonkeyPatch, *, taken_before: bool, silence_s: float
) -> None:
    """Briefly, where it took one before: it may only have been restarted twice."""
    now, health, line = 1000.0, Health(), Line(hang_ups=0 if taken_before else 2)
    monkeypatch.setattr(status, "time", SimpleNamespace(monotonic=lambda: now))
    mqtt = StatusPublisher(cast("Any", line), Topics("mammo/v1/a/b"), health, lambda: REPORT, 60.0)
    if taken_before:
        mqtt.turn(changed=False)
        line.hang_ups, line.tries = 2, 0
    for _ in range(5):
        mqtt.turn(changed=True)
    assert (line.tries, health.reasons) == (
        2,
        ["broker: it hangs up on our status, which it is told only now and then: check its ACL"],
    )
    now += silence_s - 0.1
    mqtt.turn(changed=True)
    assert line.tries == 2
    now += 0.2
    mqtt.turn(changed=False)
    assert (line.tries, health.reasons) == (3, [])


def causes(health: Health) -> list[Cause]:
    return [cause for _, cause in health.reasons_and_causes()]


def test_of_two_reasons_for_which_status_is_not_taken_the_later_one_is_told() -> None:
    health, line = Health(), Line(hang_ups=2)
    mqtt = StatusPublisher(cast("Any", line), Topics("mammo/v1/a/b"), health, lambda: REPORT, 60.0)
    for _ in range(2):
        mqtt.turn(changed=True)
    assert causes(health) == [Cause.STATUS_HUNG_UP]

    def refuse(*_: object, **__: object) -> None:
        msg = "not authorized"
        raise RefusedError(msg)

    line.publish = refuse  # type: ignore[method-assign]
    mqtt._hung_up_until = 0.0
    mqtt.turn(changed=True)
    assert causes(health) == [Cause.STATUS_REFUSED]


def test_a_loop_that_hangs_is_told_and_does_not_feed_the_watchdog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    health, said = Health(), list[str]()
    announcer = Announcer(health, cast("Any", SimpleNamespace(notify=said.append)), lambda: False)
    health.stamp("retention")
    monkeypatch.setattr("edge.health.STAMP_S", -1.0)
    announcer._feed_watchdog()
    assert (said, health.reasons) == ([], ["a part of the daemon does not go on: retention"])
    monkeypatch.undo()
    announcer._feed_watchdog()
    assert (said, health.reasons) == (["WATCHDOG=1"], [])


def test_a_status_that_raises_anything_ends_neither_its_thread_nor_the_daemon() -> None:
    health, turns = Health(), list[int]()

    class Publisher:
        def turn(self, *, changed: bool) -> None:
            turns.append(changed)
            health.changed.set()
            if len(turns) == 1:
                raise KeyError
            announcer._stop.set()

    announcer = Announcer(health, cast("Any", None), lambda: False)
    announcer._run_mqtt(cast("Any", Publisher()))
    assert len(turns) == 2
    assert health.counters["loop_failures"] == 1
    assert health.reasons == []


def test_what_raises_keeps_nothing_else_from_being_told() -> None:
    health, turns = Health(), list[str]()

    class Publisher:
        def turn(self, *, changed: bool) -> None:
            turns.append(f"status {changed}")
            announcer._stop.set()

    def broken() -> None:
        raise KeyError

    announcer = Announcer(health, cast("Any", None), lambda: False)
    announcer._also = (broken, lambda: turns.append("discovery"))
    announcer._run_mqtt(cast("Any", Publisher()))
    assert turns == ["status False", "discovery"]
    assert health.failing == {status.LOOP: "KeyError"}


def test_a_publisher_that_hangs_is_told_until_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health()
    stuck: list[list[str]] = []

    class Publisher:
        def turn(self, *, changed: bool) -> None:
            assert not changed
            with monkeypatch.context() as patch:
                patch.setattr("edge.health.STAMP_S", -1.0)
                stuck.append(health.stuck())
            announcer._stop.set()

    announcer = Announcer(health, cast("Any", None), lambda: False)
    announcer._run_mqtt(cast("Any", Publisher()))
    assert stuck == [["announce-mqtt"]]
    monkeypatch.setattr("edge.health.STAMP_S", -1.0)
    assert health.stuck() == []
