"""
Rows are as old as the time that has passed, whatever the clock of a device without a battery says.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.errors import Unavailable
from edge.storage.ledger import Ledger, clock
from edge.storage.ledger.clock import Clock
from edge.storage.ledger.records import Submission
from edge.storage.ledger.redating import DATED, Jump
from edge.system import uptime

HOUR, DAY = 3600.0, 86400.0
RIGHT = 1_800_000_000.0
IN_1970, STALE = 0.0, RIGHT - 120 * DAY
"""Dates at which a device without a battery may begin at each boot."""
PAST = pytest.mark.parametrize("past", [IN_1970, STALE], ids=["1970", "120 days behind"])


@dataclass
class Machine:
    """A device with a ledger, whose clock is set and whose power is cut."""

    ledger: Ledger
    boot_id: Path
    right: float = RIGHT
    date: float = RIGHT
    uptime: float = 0.0
    written: list[float] = field(default_factory=list)
    """The right time at which each film came."""

    def look(self) -> Jump | None:
        return self.ledger.clock.tick(lambda: self.date, lambda: self.uptime)

    def live(self, seconds: float) -> None:
        self.right += seconds
        self.date += seconds
        self.uptime += seconds
        self.look()

    def film(self) -> None:
        arrival = Submission(str(len(self.written)), Path("film"), b"film", "folder", self.date)
        self.ledger.submissions.accept(arrival, "b")
        self.written.append(self.right)

    def restart(self, date: float | None = None) -> None:
        """Restart the daemon, whose clock is set to that date while it is down."""
        self.date = self.date if date is None else date
        self.ledger.clock = Clock(self.ledger.images._database)
        self.look()

    def boot(self, date: float | None = None, off: float = 0.0) -> None:
        """Have been off for so many seconds, and begin at a date, the right one by default."""
        self.boot_id.write_text(self.boot_id.read_text() + "+")
        self.right += off
        self.uptime = 0.0
        self.restart(self.right if date is None else date)

    def set(self, date: float | None = None) -> None:
        """Set the clock, to the right time by default."""
        self.date = self.right if date is None else date
        self.look()

    def ages(self) -> list[float]:
        with self.ledger.images._database.reading() as db:
            rows = db.execute("SELECT received_at FROM submissions ORDER BY id").fetchall()
        return [self.date - date for (date,) in rows]

    def early(self) -> float:
        """Return by how much the film is too old that is most so, in seconds."""
        return max(
            age - (self.right - at) for age, at in zip(self.ages(), self.written, strict=True)
        )


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    boot = tmp_path / "boot_id"
    boot.write_text("boot")
    monkeypatch.setattr(uptime, "BOOT_ID", boot)
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    yield Machine(ledger, boot)
    ledger.close()


@PAST
@pytest.mark.parametrize("down", [False, True], ids=["while it runs", "while it is down"])
def test_films_of_two_boots_in_the_past_are_as_old_as_they_are_once_the_clock_is_set(
    machine: Machine, past: float, *, down: bool
) -> None:
    machine.boot(past)
    machine.live(8 * HOUR)
    machine.film()
    machine.live(2 * HOUR)
    machine.boot(past)
    machine.live(2 * HOUR)
    machine.film()
    machine.live(HOUR)
    if down:
        machine.restart(machine.right)
    else:
        machine.set()
    assert machine.early() < 1.0
    assert machine.ages() == pytest.approx([5 * HOUR, HOUR])


@PAST
def test_films_of_three_boots_in_the_past_get_no_older_by_the_clock_that_is_set(
    machine: Machine, past: float
) -> None:
    machine.boot(past)
    machine.live(10 * HOUR)
    machine.film()
    machine.boot(past)
    machine.live(8 * HOUR)
    machine.film()
    machine.boot(past)
    machine.film()
    machine.live(HOUR)
    machine.set()
    assert machine.ages() == pytest.approx([9 * HOUR, HOUR, HOUR])


@PAST
def test_films_of_a_right_clock_keep_their_dates_over_boots_in_the_past(
    machine: Machine, past: float
) -> None:
    machine.boot()
    machine.film()
    machine.live(20 * DAY)
    machine.boot(past, off=HOUR)
    machine.film()
    machine.live(3 * HOUR)
    machine.boot(past, off=HOUR)
    machine.film()
    machine.live(HOUR)
    machine.set()
    assert machine.early() < 1.0
    assert machine.ages() == pytest.approx([20 * DAY + 6 * HOUR, 4 * HOUR, HOUR])


def test_the_nights_of_a_device_without_a_battery_count(machine: Machine) -> None:
    """It begins where its clock was last saved, half an hour before it was switched off."""
    machine.film()
    for _ in range(10):
        machine.live(10 * HOUR)
        machine.boot(machine.date - HOUR / 2, off=14 * HOUR)
        machine.live(60)
        machine.set()
    assert machine.early() < 1.0
    assert machine.ages() == pytest.approx([10 * DAY + 600], abs=60)


def test_films_get_older_though_each_boot_begins_before_the_last_one_ended(
    machine: Machine,
) -> None:
    """As on a network without time: the saved clock is half an hour old, and nothing sets it."""
    for _ in range(60):
        machine.live(5 * HOUR)
        machine.film()
        machine.live(5 * HOUR)
        machine.boot(machine.date - HOUR / 2, off=14 * HOUR)
    assert machine.early() < 1.0
    assert machine.ages()[::20] == pytest.approx([at * DAY for at in (23.5, 16, 8)], abs=DAY)


@PAST
@pytest.mark.parametrize("wrong", [0.0, 2 * 365 * DAY], ids=["right", "two years ahead"])
def test_films_of_the_last_seconds_before_a_power_cut_get_no_older_if_the_clock_is_set_at_once(
    machine: Machine, past: float, wrong: float
) -> None:
    """The last note of the clock is from before they came, and the next boot begins there."""
    machine.boot(past)
    machine.date, machine.right, machine.uptime = past + 50, machine.right + 50, 50.0
    machine.film()
    machine.boot(past)
    machine.set(machine.right + wrong)
    assert machine.early() < 1.0


def test_films_whose_dates_are_to_come_get_no_older_by_a_clock_that_is_set(
    machine: Machine,
) -> None:
    machine.boot(IN_1970)
    machine.live(HOUR)
    machine.date, machine.right = machine.date + 50, machine.right + 50
    machine.film()
    machine.boot(STALE, off=HOUR)
    assert machine.ages() == pytest.approx([-50])
    machine.set()
    assert machine.early() < 1.0
    machine.set(machine.right + 2 * 365 * DAY)
    machine.set(machine.right - 2 * 365 * DAY)
    assert machine.ages() == pytest.approx([-50])


def test_a_first_boot_in_1970_that_ends_before_the_clock_is_set_makes_nothing_older(
    machine: Machine,
) -> None:
    """The last note of its clock is a minute old, and films came since."""
    machine.boot(IN_1970)
    machine.live(HOUR)
    machine.right, machine.date, machine.uptime = (
        moved + 50 for moved in (machine.right, machine.date, machine.uptime)
    )
    machine.film()
    machine.boot()
    assert machine.early() < 1.0


@pytest.mark.parametrize("ahead", [2 * 365 * DAY, 20 * DAY], ids=["two years", "20 days"])
@pytest.mark.parametrize("killed", [False, True])
def test_films_that_come_between_a_jump_back_and_the_look_at_it_get_no_older(
    machine: Machine, ahead: float, *, killed: bool
) -> None:
    machine.boot(machine.right + ahead)
    machine.film()
    machine.live(60 * DAY)
    machine.date = machine.right
    machine.film()
    if killed:
        machine.restart()
    machine.live(2)
    assert machine.early() < 1.0
    assert machine.ages() == pytest.approx([60 * DAY + 2, 2])


def test_a_clock_that_is_set_wrong_after_a_boot_in_the_past_makes_older_films_no_older(
    machine: Machine,
) -> None:
    machine.film()
    machine.live(DAY)
    machine.boot(IN_1970)
    machine.set()
    machine.set(machine.right + 2 * 365 * DAY)
    assert machine.ages() == pytest.approx([DAY], abs=1)
    machine.set()
    assert machine.ages() == pytest.approx([DAY], abs=1)


def test_what_was_dated_in_1970_and_no_note_speaks_of_is_dated_anew(machine: Machine) -> None:
    """Such are the receipts by which a lost ledger is rebuilt."""
    machine.date = IN_1970 + HOUR
    machine.film()
    machine.restart(machine.right)
    assert machine.ages() == [0.0]


def test_a_jump_is_seen_though_the_disk_took_no_note_of_the_first_look(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        msg = "ledger: database or disk is full"
        raise Unavailable(msg)

    machine.date = STALE
    with monkeypatch.context() as patch:
        patch.setattr(clock, "_write", full)
        with suppress(Unavailable):
            machine.restart()
    machine.film()
    machine.live(1)
    machine.set()
    assert machine.ages() == pytest.approx([1.0])


def test_films_that_come_while_the_disk_has_no_room_to_move_all_rows_keep_their_dates(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        msg = "ledger: database or disk is full"
        raise Unavailable(msg)

    machine.boot(STALE)
    machine.film()
    with monkeypatch.context() as patch:
        patch.setattr(clock, "redate", full)
        with suppress(Unavailable):
            machine.boot()
        machine.film()
        with suppress(Unavailable):
            machine.live(HOUR)
    machine.live(2)
    assert machine.early() < 1.0
    assert machine.ages()[1] == pytest.approx(HOUR + 2)


def test_every_date_by_which_a_row_may_go_is_moved_along(machine: Machine) -> None:
    with machine.ledger.images._database.reading() as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE rootpage")]
        dates = {
            (table, column)
            for table in tables
            for (column,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))
            if column in {"archived_at", "received_at", "completed_at", "given_at"}
        }
    assert dates == set(DATED)


@pytest.mark.parametrize("seed", range(20))
def test_no_film_ever_gets_older_than_it_is(machine: Machine, seed: int) -> None:
    """However often the power is cut, the daemon restarted and the clock set, right or wrong."""
    chance = random.Random(seed)  # noqa: S311 - the same steps each time
    past = chance.choice([IN_1970, STALE])
    steps: list[Callable[[], None]] = [
        machine.film,
        machine.film,
        lambda: machine.live(chance.choice([2.0, HOUR, 5 * HOUR])),
        lambda: machine.live(HOUR),
        lambda: machine.boot(past, off=chance.choice([0.0, HOUR, HOUR, 30 * DAY])),
        lambda: machine.boot(off=chance.choice([0.0, HOUR])),
        machine.restart,
        machine.set,
        lambda: machine.restart(machine.right),
        lambda: machine.set(machine.right + chance.choice([-2, 2]) * 365 * DAY),
    ]
    machine.boot(past)
    machine.film()
    for number in range(60):
        chance.choice(steps)()
        assert machine.early() < 1.0, number
    machine.set()
    assert machine.early() < 1.0
