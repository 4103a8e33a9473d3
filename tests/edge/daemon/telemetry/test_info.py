"""`info` is published at a connection and at a change, and gives way where it is refused."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.contract.info import Info
from edge.daemon.telemetry import info
from edge.daemon.telemetry.info import HUNG_UP_RETRY_S, InfoPublisher
from edge.health import Cause, Health
from edge.mqtt.errors import HungUpError, RefusedError
from tests.support.contract_page import examples

FACTS = Info.model_validate(examples("mammo.info/1")[0])


class Line:
    """A connection that answers a publish as told."""

    def __init__(self) -> None:
        self.connected = True
        self.answer: Exception | None = None
        self.tries = 0
        self.greet: Any = None

    def on_connect(self, greet: object) -> None:
        self.greet = greet

    def publish(self, topic: str, _payload: bytes, *, retain: bool) -> None:
        assert (topic, retain) == ("a/b/info", True)
        self.tries += 1
        if self.answer is not None:
            raise self.answer


class Device:
    """A publisher of `info`, the line that it has, and the facts that it tells."""

    def __init__(self) -> None:
        self.line, self.health, self.facts = Line(), Health(), FACTS
        broker = cast("Any", self.line)
        self.publisher = InfoPublisher(broker, "a/b/info", self.health, lambda: self.facts)

    def tries_after(self, turns: int) -> int:
        for _ in range(turns):
            self.publisher.turn()
        return self.line.tries

    def causes(self) -> list[Cause]:
        return [cause for _, cause in self.health.reasons_and_causes()]


def test_it_is_told_once_and_again_at_a_change_and_at_a_connection() -> None:
    device = Device()
    assert device.tries_after(3) == 1
    device.facts = FACTS.model_copy(update={"version": "9"})
    assert device.tries_after(3) == 2
    device.line.greet()
    assert device.tries_after(3) == 3
    device.line.connected = False
    device.facts = FACTS
    assert device.tries_after(3) == 3


def test_where_it_is_refused_it_is_tried_again_at_a_change_only() -> None:
    device = Device()
    device.line.answer = RefusedError("not authorized")
    assert device.tries_after(3) == 1
    assert device.causes() == [Cause.INFO_REFUSED]
    device.line.answer, device.facts = None, FACTS.model_copy(update={"version": "9"})
    assert device.tries_after(3) == 2
    assert device.causes() == []


def test_after_two_hang_ups_the_others_have_the_connection_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, device = 1000.0, Device()
    monkeypatch.setattr(info, "time", SimpleNamespace(monotonic=lambda: now))
    device.line.answer = HungUpError("broker: hung up instead of a PUBACK")
    assert device.tries_after(5) == 2
    assert device.causes() == [Cause.INFO_HUNG_UP]
    now += HUNG_UP_RETRY_S + 1
    device.line.answer = None
    assert device.tries_after(5) == 3
    assert device.causes() == []
