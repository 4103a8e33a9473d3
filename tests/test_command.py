"""Commands from the broker: each is answered, whatever it is, and none ends the daemon."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from edge.broker import Broker
from edge.errors import ConfigError, Unavailable
from edge.health import Health
from edge.intake.command import CommandIntake
from edge.session import Incoming, RefusedError
from tests.e2e.rig import until


@dataclass
class Line:
    """A broker of which only the two ends are there."""

    failures: list[Exception] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    acknowledged: threading.Event = field(default_factory=threading.Event)
    stale: bool = False
    deliver: Callable[[Incoming], None] = lambda _: None

    def subscribe(self, _topic: str, handler: Callable[[Incoming], None]) -> None:
        self.deliver = handler

    def publish(self, _topic: str, payload: bytes, **_: object) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.told.append(json.loads(payload))

    def send(self, payload: bytes, *, retained: bool = False) -> None:
        self.deliver(Incoming("t", payload, retained, None, None, self.acknowledged.set, lambda: self.stale))


@contextmanager
def obeying(line: Line, handler: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Iterator[None]:
    intake = CommandIntake(cast(Broker, line), Health(), "mammo/v1/a/b", {"reload": handler})
    intake.start()
    try:
        yield
    finally:
        intake.stop()


def explode(_: Mapping[str, Any]) -> dict[str, Any]:
    raise ZeroDivisionError


def refuse(_: Mapping[str, Any]) -> dict[str, Any]:
    msg = "no such bundle"
    raise ConfigError(msg)


@pytest.mark.parametrize(
    ("payload", "handler", "answer"),
    [
        (b"{}", lambda _: {"x": 1}, {"ok": True, "x": 1}),
        (b"{}", refuse, {"ok": False, "error": "no such bundle"}),
        (b"{}", explode, {"ok": False, "error": "ZeroDivisionError"}),
        (b"{", explode, {"ok": False, "error": "the command is not JSON"}),
        (b"[" * 200_000, explode, {"ok": False, "error": "the command is not JSON"}),
        (b"\xff", explode, {"ok": False, "error": "the command is not JSON"}),
        (b"[]", explode, {"ok": False, "error": "the command is no JSON object"}),
    ],
)
def test_every_command_is_answered_and_then_acknowledged(
    payload: bytes, handler: Callable[[Mapping[str, Any]], dict[str, Any]], answer: dict[str, Any]
) -> None:
    line = Line()
    with obeying(line, handler):
        line.send(payload)
        assert line.acknowledged.wait(10)
    assert line.told == [{"schema": "mammo.ack/1", "command": "reload", **answer}]


def test_a_command_that_comes_before_we_know_that_we_are_connected_is_answered_all_the_same() -> None:
    line = Line([Unavailable("broker: not connected"), Unavailable("broker: not connected")])
    with obeying(line, lambda _: {}):
        line.send(b"{}")
        assert line.acknowledged.wait(10)
    assert len(line.told) == 1


def test_an_answer_that_the_broker_refuses_is_not_tried_for_ever() -> None:
    line = Line([RefusedError("not authorised")])
    with obeying(line, lambda _: {}):
        line.send(b"{}")
        assert line.acknowledged.wait(10)
    assert line.told == []


def test_a_command_whose_connection_is_lost_is_left_to_the_broker_which_delivers_it_again() -> None:
    line = Line([Unavailable("broker: hung up")])

    def lose(_: Mapping[str, Any]) -> dict[str, Any]:
        line.stale = True
        return {}

    with obeying(line, lose):
        line.send(b"{}")
        until(lambda: line.stale, "obeyed")
    assert (line.told, line.acknowledged.is_set()) == ([], False)


def test_a_retained_command_is_acknowledged_and_ignored() -> None:
    line = Line()
    with obeying(line, explode):
        line.send(b"{}", retained=True)
        assert line.acknowledged.wait(10)
    assert line.told == []
