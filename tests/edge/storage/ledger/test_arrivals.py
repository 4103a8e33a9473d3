"""How long an image waits that an earlier process took: a date alone does not tell."""

import json
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from edge.storage.ledger import Ledger
from edge.storage.ledger.clock import KEY, Moment
from edge.storage.ledger.records import Conclusion, Submission
from edge.storage.ledger.states import Move
from tests.support.hands import Hands

DAY_S = 86400.0


def ledger_of(folder: Path) -> Ledger:
    return Ledger(folder / "state", ["mqtt"], lambda payload, _: payload)


@pytest.fixture
def hands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hands:
    return Hands(tmp_path, monkeypatch)


def submission(folder: Path, hands: Hands) -> Submission:
    path = folder / "m-film"
    path.write_bytes(b"film")
    return Submission("i", path, b"film", "folder", hands.date)


def took(folder: Path, hands: Hands, *, noted: bool = True) -> None:
    """Let a process note the clock, take an image 100 s later, and end."""
    ledger = ledger_of(folder)
    if noted:
        ledger.clock.tick(time.time)
    hands.live(100)
    ledger.submissions.accept(submission(folder, hands), "b")
    ledger.close()


def note(folder: Path, look: str) -> None:
    """Have another look at the clock be the last."""
    ledger = ledger_of(folder)
    with ledger._database.transaction() as db:
        db.execute("UPDATE meta SET value = ? WHERE key = ?", (look, KEY))
    ledger.close()


def waited_s(folder: Path, hands: Hands) -> float:
    """How long the next process says that the image has waited when that process begins."""
    ledger = ledger_of(folder)
    came = ledger.arrivals.of("i")
    ledger.close()
    assert came is not None
    return round(hands.run_s - came, 3)


def test_a_restart_takes_nothing_from_the_wait(tmp_path: Path, hands: Hands) -> None:
    took(tmp_path, hands)
    hands.live(30)
    assert waited_s(tmp_path, hands) == 30


@pytest.mark.parametrize("step_s", [20_000 * DAY_S, -3600.0])
def test_a_clock_that_is_set_while_no_daemon_runs_moves_no_wait_of_the_same_boot(
    tmp_path: Path, hands: Hands, step_s: float
) -> None:
    took(tmp_path, hands)
    hands.date += step_s
    hands.live(30)
    assert waited_s(tmp_path, hands) == 30


def test_time_without_power_counts_if_the_clock_went_on_meanwhile(
    tmp_path: Path, hands: Hands
) -> None:
    took(tmp_path, hands)
    hands.power_cut(off_s=600)
    assert waited_s(tmp_path, hands) == 600


@pytest.mark.parametrize("off_s", [20_000 * DAY_S, -3600.0], ids=["years", "back"])
def test_over_a_power_cut_a_clock_that_was_set_tells_nothing(
    tmp_path: Path, hands: Hands, off_s: float
) -> None:
    took(tmp_path, hands)
    hands.power_cut(off_s)
    assert waited_s(tmp_path, hands) == 0


def test_a_date_of_an_earlier_run_of_the_clock_tells_nothing(tmp_path: Path, hands: Hands) -> None:
    took(tmp_path, hands)
    later = Moment(hands.date, hands.run_s, "boot 1", since=hands.date + 1)
    note(tmp_path, json.dumps(asdict(later)))
    hands.live(30)
    assert waited_s(tmp_path, hands) == 0


def test_a_look_at_the_clock_that_another_release_noted_with_more_tells_as_much(
    tmp_path: Path, hands: Hands
) -> None:
    took(tmp_path, hands)
    look = Moment(hands.date, hands.run_s, "boot 1", since=0.0)
    note(tmp_path, json.dumps(asdict(look) | {"more": 1.0}))
    hands.live(30)
    assert waited_s(tmp_path, hands) == 30


@pytest.mark.parametrize("value", ["", "7", "{}", "[]", '{"date": 1.0}'])
def test_a_look_at_the_clock_that_is_none_tells_nothing(
    tmp_path: Path, hands: Hands, value: str
) -> None:
    took(tmp_path, hands)
    note(tmp_path, value)
    hands.live(30)
    assert waited_s(tmp_path, hands) == 0


def test_a_date_by_a_clock_that_nobody_looked_at_tells_nothing(
    tmp_path: Path, hands: Hands
) -> None:
    took(tmp_path, hands, noted=False)
    hands.live(30)
    assert waited_s(tmp_path, hands) == 0


def test_a_date_after_the_last_look_that_lies_ahead_tells_nothing(
    tmp_path: Path, hands: Hands
) -> None:
    ledger = ledger_of(tmp_path)
    ledger.clock.tick(time.time)
    hands.date += DAY_S  # and the daemon is killed before retention looks again
    ledger.submissions.accept(submission(tmp_path, hands), "b")
    ledger.close()
    hands.live(30)
    assert waited_s(tmp_path, hands) == 0


def test_what_is_settled_is_kept_no_longer_unless_it_came_again(
    tmp_path: Path, hands: Hands
) -> None:
    took(tmp_path, hands)
    ledger = ledger_of(tmp_path)
    came = ledger.arrivals.of("i")
    ledger.arrivals.note("i", hands.run_s + 1)
    ledger.arrivals.drop("i", came)
    assert ledger.arrivals.of("i") == hands.run_s + 1
    done = Conclusion("i", "r", "b", scored=False, render=lambda _: b"{}")
    ledger.images.move("i", Move.DISPATCH)
    ledger.images.conclude(done)
    assert ledger.arrivals.of("i") is None
    ledger.close()
