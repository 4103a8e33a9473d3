"""Commands from the broker: each is answered, whatever it is, and none ends the daemon."""

import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.config.settings import Broker as BrokerSettings
from edge.daemon.control.mqtt import CUT_OFF, CommandIntake
from edge.daemon.intake.suspects import Suspects
from edge.errors import ConfigError, Unavailable
from edge.health import Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Incoming
from edge.mqtt.errors import RefusedError
from edge.mqtt.topics import Topics
from tests.support.proxy import Proxy
from tests.support.rig import PATIENCE_S, until

GIVEN_UP: Final = "command: it was obeyed, and its answer cannot be told: the broker hangs up on it"


@dataclass
class Line:
    """A broker of which only the two ends are there."""

    failures: list[Exception] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    acknowledged: threading.Event = field(default_factory=threading.Event)
    stale: bool = False
    obeyed: int = 0
    deliver: Callable[[Incoming], None] = lambda _: None

    def subscribe(self, _topic: str, handler: Callable[[Incoming], None]) -> None:
        self.deliver = handler

    def publish(self, _topic: str, payload: bytes, **_: object) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.told.append(json.loads(payload))

    def send(
        self, payload: bytes, *, retained: bool = False, again: bool = False, lost: bool = False
    ) -> None:
        """Deliver a message; `lost`: by a connection that ends once it is obeyed."""
        before = self.obeyed
        stale = (lambda: self.obeyed > before) if lost else (lambda: self.stale)
        self.deliver(
            Incoming("t", payload, retained, None, None, self.acknowledged.set, stale, again)
        )

    def obey(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self.obeyed += 1
        return {"time": self.obeyed}

    def fetch(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.obey(request)
        msg = "model/available: the connection was lost"
        raise Unavailable(msg)


@contextmanager
def obeying(line: Line, handler: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Iterator[Health]:
    health = Health()
    with tempfile.TemporaryDirectory() as folder:
        intake = CommandIntake(
            cast(MqttClient, line),
            health,
            Topics("mammo/v1/a/b"),
            {"try": handler},
            Suspects(Path(folder)),
        )
        intake.start()
        try:
            yield health
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
        (b"[" * 60_000, explode, {"ok": False, "error": "the command is not JSON"}),
        (b" " * 70_000, explode, {"ok": False, "error": "the command has more than 65536 bytes"}),
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
        assert line.acknowledged.wait(PATIENCE_S)
    assert line.told == [{"schema": "mammo.ack/1", "command": "try", **answer}]


@pytest.mark.parametrize("error", [MemoryError(), OverflowError()], ids=["memory", "overflow"])
def test_a_command_whose_parsing_raises_anything_is_refused_and_the_next_one_is_obeyed(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    line, parse = Line(), json.loads

    def fail(text: bytes) -> object:
        if text == b'{"fails": true}':
            raise error
        return parse(text)

    with obeying(line, line.obey):
        monkeypatch.setattr("edge.daemon.control.mqtt.json.loads", fail)
        line.send(b'{"fails": true}')
        line.send(b"{}")
        until(lambda: len(line.told) == 2, "both answered")
    assert [(one["ok"], one.get("error")) for one in line.told] == [
        (False, type(error).__name__),
        (True, None),
    ]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_command_that_ends_its_thread_is_refused_and_the_next_one_is_obeyed() -> None:
    line = Line()

    def leave(request: Mapping[str, Any]) -> dict[str, Any]:
        if request:
            raise SystemExit
        return line.obey(request)

    with obeying(line, leave):
        line.send(b'{"leaves": true}')
        line.send(b"{}")
        until(lambda: len(line.told) == 2, "both answered")
    assert [one["ok"] for one in line.told] == [False, True]


def test_a_command_for_which_no_thread_begins_is_refused_and_the_next_one_is_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line, start = Line(), threading.Thread.start

    def fail(thread: threading.Thread) -> None:
        if thread.name == "command" and not line.told:
            msg = "can't start new thread"
            raise RuntimeError(msg)
        start(thread)

    with obeying(line, line.obey):
        monkeypatch.setattr(threading.Thread, "start", fail)
        line.send(b"{}")
        line.send(b"{}")
        until(lambda: line.obeyed and len(line.told) == 2, "both answered")
    why = "it was not begun: can't start new thread; send it again in a while"
    assert [(one["ok"], one.get("error")) for one in line.told] == [(False, why), (True, None)]


def test_a_command_that_comes_before_we_know_that_we_are_connected_is_answered_all_the_same() -> (
    None
):
    line = Line([Unavailable("broker: not connected"), Unavailable("broker: not connected")])
    with obeying(line, lambda _: {}):
        line.send(b"{}")
        assert line.acknowledged.wait(PATIENCE_S)
    assert len(line.told) == 1


def test_an_answer_that_the_broker_refuses_is_not_tried_for_ever() -> None:
    line = Line([RefusedError("not authorised")])
    with obeying(line, lambda _: {}):
        line.send(b"{}")
        assert line.acknowledged.wait(PATIENCE_S)
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
        assert line.acknowledged.wait(PATIENCE_S)
    assert line.told == []


def test_a_command_that_is_delivered_again_is_answered_and_not_obeyed_twice() -> None:
    line = Line()
    with obeying(line, line.obey):
        line.send(b"{}", lost=True)
        line.send(b"{}", again=True)
        assert line.acknowledged.wait(PATIENCE_S)
    assert (line.obeyed, [answer["time"] for answer in line.told]) == (1, [1])


def lose_every_try(line: Line) -> None:
    """Give a command that loses the connection as often as it may, and then once more."""
    for time in range(CUT_OFF):
        line.send(b"{}", again=time > 0, lost=True)
        until(lambda: line.obeyed > time, "tried")  # noqa: B023 - used up before the next turn
    line.send(b"{}", again=True)


def test_a_command_that_needs_the_connection_goes_on_with_the_next_one_and_not_for_ever() -> None:
    line = Line()
    with obeying(line, line.fetch) as health:
        lose_every_try(line)
        assert line.acknowledged.wait(PATIENCE_S)
    assert (line.obeyed, health.counters["commands_refused"]) == (CUT_OFF, 1)
    assert [answer["error"] for answer in line.told] == ["model/available: the connection was lost"]


def test_a_command_given_up_for_want_of_a_connection_leaves_the_next_one_all_its_tries() -> None:
    line = Line()
    with obeying(line, line.fetch):
        lose_every_try(line)
        line.send(b'{"bundle": "next"}', lost=True)
        line.send(b'{"bundle": "next"}', again=True)
        until(lambda: len(line.told) == 2, "answered")
    assert line.obeyed == CUT_OFF + 2


def test_the_same_command_given_anew_is_obeyed_anew_also_after_a_lost_connection() -> None:
    line = Line()
    with obeying(line, line.obey):
        line.send(b"{}", lost=True)
        line.send(b"{}")
        line.send(b"{}", again=True)  # its first delivery was lost before we came to it
        until(lambda: len(line.told) == 2, "answered")
    assert [answer["time"] for answer in line.told] == [2, 3]


def test_a_broker_that_hangs_up_on_the_answer_has_a_command_obeyed_once_and_says_so(
    mosquitto: Mosquitto,
) -> None:
    health, commands = Health(), Line()
    with (
        Proxy(mosquitto.port, hang_up_on=b"command/try/ack") as proxy,
        Subscriber(mosquitto.port, "nothing") as person,
    ):
        where = BrokerSettings(host="127.0.0.1", port=proxy.port)
        broker = MqttClient(
            where, password=None, client_id="edge", will=None, health=health, max_incoming=2**20
        )
        intake = CommandIntake(
            broker,
            health,
            Topics("mammo/v1/a/b"),
            {"try": commands.obey},
            Suspects(mosquitto.folder),
        )
        subscribed = threading.Event()
        broker._subscriptions.note_suback = lambda *_: subscribed.set()  # type: ignore[method-assign]
        broker.start()
        intake.start()
        try:
            assert subscribed.wait(PATIENCE_S)
            person.publish("mammo/v1/a/b/command/try", b"{}")
            until(lambda: health.reasons == [GIVEN_UP], "given up")
        finally:
            intake.stop()
            broker.stop()
    assert commands.obeyed == 1
