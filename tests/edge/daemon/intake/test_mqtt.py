"""Requests over MQTT: whatever one is or does, it is acknowledged and the others go on."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from edge.contract.limits import QOS_0_BYTES, REFERENCE_BYTES
from edge.daemon.intake import Receiver
from edge.daemon.intake.mqtt import IMAGE_TRIES, LOOP, MqttIntake
from edge.daemon.intake.suspects import Suspects, key_of
from edge.errors import StateDamagedError, Unavailable
from edge.health import Cause, Health
from edge.mqtt.client import MqttClient
from edge.mqtt.connection import Incoming
from edge.mqtt.topics import MOST_BYTES, MOST_LEVELS, Topics
from edge.storage.ledger.records import Request
from edge.system.threads import tell_failing
from tests.support.rig import PATIENCE_S, until

IMAGE, REF = "mammo/v1/a/b/request/image", "mammo/v1/a/b/request/ref"


@dataclass
class Line:
    """A broker and a receiver of which only the ends to the intake are there."""

    folder: Path
    failures: list[BaseException] = field(default_factory=list)
    """Raised by the receiver, one after the other."""
    room: bool = True
    taken: list[Request] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    acknowledged: list[bytes] = field(default_factory=list)
    handlers: dict[str, Callable[[Incoming], None]] = field(default_factory=dict)
    health: Health = field(default_factory=Health)

    def subscribe(self, topic: str, handler: Callable[[Incoming], None]) -> None:
        self.handlers[topic] = handler

    def has_room(self) -> bool:
        return self.room

    def take_bytes(self, request: Request, **_: object) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(request)

    take_reference = take_bytes

    def refuse_reference(self, request: Request, why: str) -> None:
        self.acknowledged.append(request.payload[:8])
        self.refused.append(why)

    def send(  # noqa: PLR0913 - the fields of a message
        self,
        payload: bytes,
        topic: str = IMAGE,
        *,
        qos: int = 1,
        response_topic: str | None = None,
        retained: bool = False,
        stale: bool = False,
    ) -> None:
        acknowledge = lambda: self.acknowledged.append(payload)  # noqa: E731
        self.handlers[topic](
            Incoming(
                topic,
                payload,
                retained,
                response_topic,
                None,
                acknowledge,
                lambda: stale,
                qos=qos,
            )
        )

    def intake(self) -> MqttIntake:
        return MqttIntake(
            cast(MqttClient, self),
            cast(Receiver, self),
            self.health,
            Suspects(self.folder),
            wake_references=lambda: None,
            topics=Topics("mammo/v1/a/b"),
            response_prefix="mammo/",
            shared=None,
        )


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


@pytest.fixture
def intake(line: Line) -> Iterator[MqttIntake]:
    made = line.intake()
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("topic", [IMAGE, REF])
@pytest.mark.parametrize(
    "failure",
    [
        UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed"),
        RecursionError(),
        OverflowError("Python int too large to convert to SQLite INTEGER"),
        sqlite3.IntegrityError("UNIQUE constraint failed"),
        KeyError("nobody foresaw this"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.usefixtures("intake")
def test_a_request_that_raises_anything_is_given_up_and_the_next_one_is_taken(
    line: Line, topic: str, failure: Exception
) -> None:
    line.failures = [failure]
    line.send(b"poison", topic)
    line.send(b"honest")
    until(lambda: line.acknowledged == [b"poison", b"honest"], "both acknowledged")
    assert [request.payload for request in line.taken] == [b"honest"]
    assert line.health.counters["requests_given_up"] == 1
    assert line.health.reasons == []


@pytest.mark.parametrize(
    "failure",
    [Unavailable("ledger: disk I/O error"), OSError(5, "Input/output error"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.usefixtures("intake")
def test_a_request_that_disk_or_memory_do_not_take_now_waits_and_says_why(
    line: Line, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    monkeypatch.setattr("edge.daemon.intake.mqtt.RETRY_S", 0.01)
    told: list[str] = []
    degrade = line.health.degrade
    line.health.degrade = lambda cause, reason: (told.append(reason), degrade(cause, reason))[1]  # type: ignore[method-assign, func-returns-value]
    line.failures = [failure]
    line.send(b"film")
    until(lambda: line.acknowledged == [b"film"], "acknowledged")
    assert [request.payload for request in line.taken] == [b"film"]
    assert told[0].startswith("requests wait at the broker: ")
    assert line.health.reasons == []


def test_only_a_damaged_ledger_ends_the_loop_so_that_the_next_start_mends_it(line: Line) -> None:
    line.failures = [StateDamagedError("ledger: database disk image is malformed")]
    intake = line.intake()
    line.send(b"film")
    with pytest.raises(StateDamagedError):
        intake.turn()
    assert line.acknowledged == []


@pytest.mark.parametrize(
    "topic",
    [
        "mammo/v1/" + "a/" * MOST_LEVELS,
        "mammo/v1/" + "x" * MOST_BYTES,
        "mammo/v1/" + "\u00e9" * (MOST_BYTES // 2),
        "mammo/v1/\0",
        "mammo/v1/a\nb",
        "mammo/v1/a\u009fb",
        "mammo/v1/\uffff",
        "mammo/v1/#",
        "mammo/v1/+/x",
        "other/x",
        "mammo/v1/a/b/result",
    ],
    ids=range(11),
)
@pytest.mark.usefixtures("intake")
def test_a_response_topic_that_a_broker_might_hang_up_on_is_not_used(
    line: Line, topic: str
) -> None:
    line.send(b"film", response_topic=topic)
    until(lambda: line.acknowledged, "acknowledged")
    assert [request.response_topic for request in line.taken] == [None]
    assert line.health.counters["response_topics_refused"] == 1


@pytest.mark.usefixtures("intake")
def test_a_response_topic_up_to_the_limits_is_used(line: Line) -> None:
    topic = "mammo/v1" + "/a" * (MOST_LEVELS - 2)
    line.send(b"film", response_topic=topic)
    line.send(b"film", response_topic="mammo/" + "\u00e9" * 125)
    until(lambda: len(line.acknowledged) == 2, "acknowledged")
    assert [request.response_topic for request in line.taken] == [topic, "mammo/" + "\u00e9" * 125]


@pytest.mark.usefixtures("intake")
def test_a_reference_that_is_too_large_is_refused_unread(line: Line) -> None:
    line.send(b"[" * (REFERENCE_BYTES + 1), REF)
    until(lambda: line.refused, "refused")
    assert line.refused == ["the request has 16385 bytes, expected 16384 at most"]
    assert line.taken == []


def test_requests_at_qos_0_are_taken_while_the_budget_lasts_and_else_dropped_and_counted(
    line: Line,
) -> None:
    line.room = False
    intake = line.intake()
    for _ in range(40):
        line.send(bytes(QOS_0_BYTES // 8), qos=0)
    line.send(b"promised", qos=1)
    assert intake.held().bytes == QOS_0_BYTES + len(b"promised")
    assert line.health.counters["requests_dropped"] == 32
    line.room = True
    intake.start()
    until(lambda: len(line.taken) == 9, "taken")
    until(lambda: intake.held().requests == 0, "none is left in memory")
    line.send(b"again", qos=0)
    until(lambda: len(line.taken) == 10, "the budget is whole again")
    intake.stop()


def test_requests_at_qos_0_that_an_orderly_stop_loses_are_counted(line: Line) -> None:
    line.room = False
    intake = line.intake()
    for number in range(3):
        line.send(b"film %d" % number, qos=0)
    line.send(b"promised", qos=1)
    intake.start()
    intake.stop(PATIENCE_S)
    assert line.health.counters["requests_dropped"] == 3
    assert line.taken == []
    assert line.acknowledged == []


@pytest.mark.usefixtures("intake")
def test_a_request_at_qos_0_outlives_its_connection(line: Line) -> None:
    line.send(b"never delivered again", qos=0, stale=True)
    line.send(b"delivered again", qos=1, stale=True)
    line.send(b"last")
    until(lambda: line.acknowledged[-1:] == [b"last"], "acknowledged")
    assert [request.payload for request in line.taken] == [b"never delivered again", b"last"]


@pytest.mark.usefixtures("intake")
def test_a_retained_request_is_acknowledged_in_its_turn_and_not_taken(line: Line) -> None:
    line.send(b"kept", retained=True)
    line.send(b"film")
    until(lambda: line.acknowledged == [b"kept", b"film"], "acknowledged in order")
    assert [request.payload for request in line.taken] == [b"film"]


def killed_in_hand(line: Line, payload: bytes, topic: str) -> None:
    """Leave behind what a daemon does that ends while it has a message in hand."""
    Suspects(line.folder)._note(LOOP, key_of(topic, payload, None))


def test_a_reference_that_ended_a_daemon_is_refused_by_the_next_one(line: Line) -> None:
    killed_in_hand(line, b"poison", REF)
    intake = line.intake()
    line.send(b"poison", REF)
    line.send(b"honest", REF)
    intake.start()
    until(lambda: line.acknowledged[-1:] == [b"honest"], "acknowledged")
    intake.stop()
    assert [request.payload for request in line.taken] == [b"honest"]
    assert "when the daemon ended" in line.refused[0]


def test_an_image_in_hand_at_a_kill_is_taken_by_the_next_daemons_and_given_up_at_last(
    line: Line,
) -> None:
    taken = []
    for _ in range(IMAGE_TRIES + 1):
        intake = line.intake()
        line.send(b"film")
        intake.turn()
        taken.append(len(line.taken))
        killed_in_hand(line, b"film", IMAGE)
    assert taken == [*range(1, IMAGE_TRIES + 1), IMAGE_TRIES]
    assert len(line.acknowledged) == IMAGE_TRIES + 1
    assert line.health.counters["requests_given_up"] == 1


def test_a_message_that_was_done_with_or_whose_daemon_was_stopped_is_no_suspect(
    line: Line,
) -> None:
    key = key_of(REF, b"film", None)
    with Suspects(line.folder).in_hand(LOOP, key):
        pass
    assert Suspects(line.folder).ends(key) == 0
    stopped = Suspects(line.folder)
    with stopped.in_hand(LOOP, key):
        stopped.close()
    assert Suspects(line.folder).ends(key) == 0


@pytest.mark.parametrize("left", [b"", b"short", b"\0" * 32, b"x" * 4096])
def test_a_note_that_says_nothing_blames_nobody(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "in-hand-intake-mqtt").write_bytes(left)
    (tmp_path / "suspects.json").write_bytes(b"[1]" if left else b"{")
    assert Suspects(tmp_path)._ends == {}


def test_a_turn_that_fails_is_told_and_the_loop_goes_on(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.system.threads.AFTER_FAILURE_S", 0.0)
    intake, failed = line.intake(), threading.Event()
    turn = intake.turn

    def fail_once() -> None:
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        turn()

    intake.turn = fail_once  # type: ignore[method-assign]
    line.send(b"film")
    intake.start()
    until(lambda: line.acknowledged == [b"film"], "acknowledged")
    until(lambda: line.health.reasons == [], "recovered")
    intake.stop()
    assert line.health.counters["loop_failures"] == 1


def test_two_loops_that_fail_are_both_told_until_both_work() -> None:
    health = Health()
    health.failing |= {"a": "KeyError", "b": "ValueError"}
    tell_failing(health)
    assert health.reasons == [
        "a part of the daemon fails and goes on: a by KeyError, b by ValueError"
    ]
    del health.failing["a"]
    tell_failing(health)
    assert health.reasons_and_causes() == [
        ("a part of the daemon fails and goes on: b by ValueError", Cause.LOOP_FAILED)
    ]
    health.failing.clear()
    tell_failing(health)
    assert health.reasons == []
