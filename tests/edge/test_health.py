"""How the daemon is: stamps, reasons, counters, and what systemd hears."""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import health as module
from edge.health import Cause, Health, Phase, Systemd


@pytest.fixture
def health() -> Health:
    made = Health()
    made.enter(Phase.READY)
    made.changed.clear()
    return made


def test_a_loop_that_stamps_is_not_stuck(health: Health) -> None:
    health.stamp("intake")
    assert health.stuck() == []


def test_loops_that_stamped_too_long_ago_are_stuck_and_named_in_order(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STAMP_S", -1.0)  # so that any stamp is too old
    health.stamp("intake")
    health.stamp("dispatch")
    assert health.stuck() == ["dispatch", "intake"]


def test_a_loop_that_ended_because_it_was_told_to_is_not_stuck(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STAMP_S", -1.0)
    health.stamp("intake")
    health.retire("intake")
    health.retire("never stamped")
    assert health.stuck() == []


def test_ready_is_degraded_while_there_is_a_reason(health: Health) -> None:
    health.degrade(Cause.BROKER_AWAY, "broker: not there")
    assert (health.phase, health.reasons) == (Phase.DEGRADED, ["broker: not there"])
    health.recover(Cause.BROKER_AWAY)
    assert (health.phase, health.reasons) == (Phase.READY, [])


def test_a_reason_goes_only_when_its_own_key_recovers(health: Health) -> None:
    health.degrade(Cause.BROKER_AWAY, "b")
    health.degrade(Cause.INBOX_AWAY, "a")
    assert health.reasons == ["a", "b"]
    health.recover(Cause.BROKER_AWAY)
    assert (health.phase, health.reasons) == (Phase.DEGRADED, ["a"])


def test_each_sentence_comes_with_its_code_in_the_order_of_the_sentences(health: Health) -> None:
    health.degrade(Cause.BROKER_AWAY, "b")
    health.degrade(Cause.INBOX_AWAY, "a")
    assert health.reasons_and_causes() == [("a", "inbox_away"), ("b", "broker_away")]


def test_several_causes_recover_at_once_and_those_that_were_not_there_do_not_matter(
    health: Health,
) -> None:
    health.degrade(Cause.BROKER_AWAY, "b")
    health.degrade(Cause.INBOX_AWAY, "a")
    health.changed.clear()
    health.recover(Cause.RETENTION_FAILED, Cause.BROKER_AWAY, Cause.INBOX_AWAY)
    assert (health.reasons, health.changed.is_set()) == ([], True)


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.DRAINING])
def test_starting_and_draining_are_told_as_they_are_whatever_the_reasons(
    health: Health, phase: Phase
) -> None:
    health.enter(phase)
    health.degrade(Cause.BROKER_AWAY, "broker: not there")
    assert health.phase is phase


def test_only_what_changes_is_a_change(health: Health) -> None:
    health.recover(Cause.BROKER_AWAY)
    assert not health.changed.is_set()
    health.degrade(Cause.BROKER_AWAY, "one")
    assert health.changed.is_set()
    health.changed.clear()
    health.degrade(Cause.BROKER_AWAY, "one")
    assert not health.changed.is_set()
    health.degrade(Cause.BROKER_AWAY, "two")
    assert health.changed.is_set()


def test_counters_of_many_threads_lose_nothing(health: Health) -> None:
    def count() -> None:
        for _ in range(1000):
            health.count("x")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert health.counters == {"x": 8000}


def test_uptime_grows(health: Health) -> None:
    assert 0 <= health.uptime_s <= health.uptime_s


@pytest.fixture(params=["a path", "an abstract name"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """What systemd listens on, named in NOTIFY_SOCKET."""
    address = (
        str(tmp_path / "notify") if request.param == "a path" else f"\0mammo-edge-{uuid.uuid4()}"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(address)
        bound.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))
        yield bound


def test_systemd_hears_one_datagram_of_all_lines(listener: socket.socket) -> None:
    systemd = Systemd()
    systemd.notify("READY=1", "STATUS=ready")
    systemd.notify("WATCHDOG=1")
    assert listener.recv(4096) == b"READY=1\nSTATUS=ready"
    assert listener.recv(4096) == b"WATCHDOG=1"


def test_workers_do_not_inherit_the_way_to_systemd(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    Systemd().notify("READY=1")
    assert listener.recv(4096) == b"READY=1"
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)


def test_a_supervisor_that_is_gone_is_no_reason_to_stop(listener: socket.socket) -> None:
    systemd = Systemd()
    listener.close()
    systemd.notify("WATCHDOG=1")


def test_without_systemd_nothing_is_said_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    Systemd().notify("READY=1")
