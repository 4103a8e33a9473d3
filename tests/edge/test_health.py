"""How the daemon is: stamps, reasons, counters, and what systemd hears."""

import threading
import time

import pytest

from edge import health as module
from edge.health import Cause, Health, Phase


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


def test_an_inbox_that_hangs_is_told_and_does_not_count_for_the_watchdog(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    health.stamp("intake-folder")
    health.stamp("dispatch")
    monkeypatch.setattr(time, "monotonic", lambda: now + 150)
    health.stamp("dispatch")
    health.tell_hanging()
    assert health.stuck() == []
    assert health.reasons == [
        "inbox: its file system has not answered for 2 minutes; all else goes on"
    ]
    health.stamp("intake-folder")
    health.tell_hanging()
    assert health.reasons == []
