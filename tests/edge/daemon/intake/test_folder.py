"""A file of the inbox is taken once its sender is done, and none keeps the others waiting."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from errno import EACCES, EMFILE
from pathlib import Path
from typing import Any, cast

import pytest

from edge.config.settings import Inbox
from edge.daemon.intake import CLOSED, Receiver, folder
from edge.daemon.intake.candidates import SETTLED_AFTER
from edge.daemon.intake.complaints import UNFINISHED_S
from edge.daemon.intake.folder import SET_ASIDE_S, Counts, FolderIntake
from edge.daemon.intake.walk import MAX_DEPTH
from edge.errors import LockedError, Unavailable
from edge.health import Cause, Health
from edge.system.inotify import Inotify

QUIET_S = 200.0  # of a clock that the test moves: a busy machine takes seconds of it by itself


@dataclass
class Taker:
    """A receiver that takes files away, unless it has been told to fail at their names."""

    taken: dict[str, bool] = field(default_factory=dict)
    """Files by name, and true for those that were seen to be closed."""
    fails: dict[str, Exception] = field(default_factory=dict)
    full: bool = False
    keeps: float = 0.0
    """Quiet times for which a file stays, as a copied one does."""
    listings: list[bool] = field(default_factory=list)
    """After each listing: true if no file was to be taken."""

    def has_room(self) -> bool:
        return not self.full

    def finish_taking(self) -> None:
        return

    def forget_gone(self, *, idle: bool) -> None:
        self.listings.append(idle)

    def take_file(self, path: Path, *, quiet: float) -> bool:
        if path.name in self.fails:
            raise self.fails[path.name]
        self.taken[path.name] = quiet == CLOSED
        if quiet >= self.keeps:
            path.unlink()
        return quiet >= self.keeps


@dataclass
class Desk:
    """An intake whose turns the test makes, and whose clock it moves."""

    inbox: Path
    taker: Taker
    intake: FolderIntake
    health: Health
    ahead_s: float = 0.0

    def turn(self, after_s: float = 0.0) -> dict[str, bool]:
        """Let time pass, look, and look once more at what the events said."""
        self.ahead_s += after_s
        for _ in range(2):
            self.intake.turn()
        return self.taker.taken

    @property
    def counts(self) -> Counts:
        return self.intake.counts()

    @property
    def causes(self) -> set[Cause]:
        return {cause for _, cause in self.health.reasons_and_causes()}


@pytest.fixture(params=["auto"])
def desk(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    inbox, taker, health = tmp_path / "inbox", Taker(), Health()
    inbox.mkdir()
    settings = Inbox(path=inbox, quiet_s=QUIET_S, rescan_s=1e6, poll=request.param, poll_s=0.001)
    intake = FolderIntake(settings, cast("Receiver", taker), health)
    made = Desk(inbox, taker, intake, health)
    now = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: now() + made.ahead_s)
    monkeypatch.setattr(folder, "TICK_S", 0.0)
    monkeypatch.setattr(folder, "IDLE_S", 0.0)
    made.turn()
    yield made
    intake.last_turn()
    subprocess.run(["rm", "-rf", inbox], check=True)  # some of it is too deep for pytest


def test_a_file_that_was_closed_is_taken_at_once(desk: Desk) -> None:
    (desk.inbox / "film.dcm").write_bytes(b"film")
    assert desk.turn() == {"film.dcm": True}


def test_each_listing_has_the_receiver_forget_what_is_gone(desk: Desk) -> None:
    desk.taker.listings.clear()
    desk.intake._list()
    desk.taker.full = True
    (desk.inbox / "film.dcm").write_bytes(b"film")
    desk.intake._list()
    assert desk.taker.listings == [True, False]


@pytest.mark.parametrize("head", [b"", b"DICM", b"half of a film"])
def test_a_file_that_is_open_is_not_taken_however_quiet(desk: Desk, head: bytes) -> None:
    with (desk.inbox / "film.dcm").open("wb") as writer:
        writer.truncate(1000)
        writer.write(head)
        writer.flush()
        desk.turn()
        assert desk.turn(after_s=3600) == {}
        writer.write(b"the rest")
    assert desk.turn() == {"film.dcm": True}


def test_a_file_that_stays_open_unchanged_is_told(desk: Desk) -> None:
    with (desk.inbox / "film.dcm").open("wb"):
        desk.turn()
        desk.intake._list()
        assert desk.causes == set()
        desk.turn(after_s=UNFINISHED_S)
        desk.intake._list()
        assert desk.causes == {Cause.INBOX_UNFINISHED}
    (desk.inbox / "film.dcm").unlink()
    desk.intake._list()
    assert desk.causes == set()


def test_a_file_renamed_while_it_is_open_waits_for_its_end(desk: Desk) -> None:
    with (desk.inbox / "film.part").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        (desk.inbox / "film.part").rename(desk.inbox / "film.dcm")
        desk.turn()
        assert desk.turn(after_s=60) == {}
    assert desk.turn() == {"film.dcm": True}


def test_a_file_that_nobody_was_seen_to_close_is_taken_once_quiet_and_said_to_be_unsettled(
    tmp_path: Path, desk: Desk
) -> None:
    (tmp_path / "elsewhere").write_bytes(b"film")
    (desk.inbox / "film.dcm").hardlink_to(tmp_path / "elsewhere")
    desk.turn()
    assert desk.taker.taken == {}
    assert desk.turn(after_s=QUIET_S) == {"film.dcm": False}


def test_a_file_of_long_ago_was_not_seen_to_be_closed_either(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"film")
    (desk.inbox / "film.dcm").hardlink_to(tmp_path / "elsewhere")
    desk.taker.full = True
    desk.turn()
    desk.turn(after_s=3600)
    desk.taker.full = False
    assert desk.turn() == {"film.dcm": False}


def test_a_file_that_stays_after_its_copy_is_not_seen_as_new_and_goes_in_its_time(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_bytes(b"film")
    (desk.inbox / "film.dcm").hardlink_to(tmp_path / "elsewhere")
    desk.taker.keeps = 30
    desk.turn()
    assert desk.turn(after_s=SETTLED_AFTER * QUIET_S) == {"film.dcm": False}
    assert (desk.counts.seen, desk.counts.kept) == (0, 1)
    desk.taker.taken.clear()
    assert desk.turn() == {}
    desk.turn(after_s=10 * QUIET_S)
    assert desk.taker.taken.popitem() == ("film.dcm", False)
    assert (desk.inbox / "film.dcm").exists()
    desk.turn(after_s=10 * QUIET_S)
    assert not (desk.inbox / "film.dcm").exists()
    assert (desk.counts.seen, desk.counts.kept) == (0, 0)


def test_a_file_that_stays_after_its_copy_counts_as_new_once_it_changes(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_bytes(b"film")
    (desk.inbox / "film.dcm").hardlink_to(tmp_path / "elsewhere")
    desk.taker.keeps = 30
    desk.turn()
    desk.turn(after_s=SETTLED_AFTER * QUIET_S)
    desk.taker.taken.clear()
    with (tmp_path / "elsewhere").open("ab") as writer:
        writer.write(b"the rest")
    desk.intake._list()
    assert (desk.counts.seen, desk.counts.kept) == (1, 0)
    assert desk.turn(after_s=QUIET_S) == {"film.dcm": False}


def test_an_empty_file_waits_until_it_is_settled_even_if_it_was_closed(desk: Desk) -> None:
    (desk.inbox / "film.dcm").touch()
    desk.turn()
    assert desk.turn(after_s=2 * QUIET_S) == {}
    (desk.inbox / "film.dcm").write_bytes(b"film")
    assert desk.turn() == {"film.dcm": True}
    (desk.inbox / "empty.dcm").touch()
    desk.turn()
    desk.turn(after_s=SETTLED_AFTER * QUIET_S)
    assert "empty.dcm" in desk.taker.taken


def test_after_lost_events_no_writer_is_believed_in(desk: Desk) -> None:
    with (desk.inbox / "film.dcm").open("wb") as writer:
        writer.write(b"film")
        writer.flush()
        desk.turn()
        watch = desk.intake._watching._watch
        assert watch is not None
        watch.overflowed = True
        desk.turn()
        assert desk.turn(after_s=QUIET_S) == {"film.dcm": False}


@pytest.mark.parametrize("desk", ["always", "auto"], indirect=True)
def test_a_folder_nested_1200_deep_keeps_nobody_waiting(desk: Desk) -> None:
    start = os.open(desk.inbox, os.O_RDONLY)
    below = os.dup(start)
    for _ in range(1200):
        os.mkdir("d", dir_fd=below)
        deeper = os.open("d", os.O_RDONLY, dir_fd=below)
        os.close(below)
        below = deeper
    (desk.inbox / "film.dcm").write_bytes(b"film")
    (desk.inbox / "d" / "exam").mkdir()
    (desk.inbox / "d" / "exam" / "two.dcm").write_bytes(b"film")
    desk.turn()
    desk.intake._list()
    assert set(desk.turn(after_s=QUIET_S)) == {"film.dcm", "two.dcm"}
    assert desk.causes == {Cause.INBOX_UNREADABLE}
    assert str(MAX_DEPTH) in desk.health.reasons[0]
    os.close(below)
    os.close(start)


@pytest.mark.parametrize("error", [OverflowError(), RecursionError(), ValueError(), OSError(5)])
def test_a_file_that_raises_anything_is_left_with_its_reason_and_the_others_are_taken(
    desk: Desk, error: Exception
) -> None:
    desk.taker.fails = {"a.dcm": error}
    for name in ("a.dcm", "b.dcm", "c.dcm"):
        (desk.inbox / name).write_bytes(b"film")
    assert set(desk.turn()) == {"b.dcm", "c.dcm"}
    assert desk.causes == {Cause.INBOX_SET_ASIDE}
    assert "a.dcm" not in desk.health.reasons[0]
    assert type(error).__name__ in desk.health.reasons[0]
    desk.turn()
    assert desk.health.counters["set_aside"] == 1
    desk.taker.fails = {}
    assert "a.dcm" in desk.turn(after_s=SET_ASIDE_S)
    desk.intake._list()
    assert desk.causes == set()


def test_a_file_that_failed_is_tried_again_once_it_changes(desk: Desk) -> None:
    desk.taker.fails = {"a.dcm": ValueError()}
    (desk.inbox / "a.dcm").write_bytes(b"film")
    assert desk.turn() == {}
    desk.taker.fails = {}
    (desk.inbox / "a.dcm").write_bytes(b"another film")
    assert desk.turn() == {"a.dcm": True}


def test_files_in_a_folder_that_lets_nobody_remove_them_are_told_until_it_does(desk: Desk) -> None:
    (desk.inbox / "exam").mkdir()
    desk.taker.fails = {"a.dcm": LockedError(), "b.dcm": LockedError()}
    desk.turn()
    for name in ("exam/a.dcm", "exam/b.dcm", "c.dcm"):
        (desk.inbox / name).write_bytes(b"film")
    assert set(desk.turn()) == {"c.dcm"}
    for _ in range(3):  # the reason stands while others come and go
        (desk.inbox / "c.dcm").write_bytes(b"film")
        desk.turn()
        assert desk.causes == {Cause.INBOX_LOCKED}
    assert "1 of its folders" in desk.health.reasons[0]
    desk.taker.fails = {}
    desk.turn(after_s=1e6)
    desk.intake._list()
    assert desk.causes == set()


def test_a_file_that_cannot_be_taken_is_told_without_a_look_at_all_others(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = {"locked": LockedError(), "failing": OSError("odd")}
    for name in (f"{number}.{kind}" for kind in error for number in range(20)):
        desk.taker.fails[name] = error[name.rpartition(".")[2]]
        (desk.inbox / name).write_bytes(b"film")
    looks: list[str] = []
    for look in ("locked", "failed"):
        monkeypatch.setattr(desk.intake._candidates, look, lambda look=look: looks.append(look))
    desk.turn()
    assert desk.causes == {Cause.INBOX_LOCKED, Cause.INBOX_SET_ASIDE}
    assert "inbox: 20 files cannot be taken" in str(desk.health.reasons)
    assert looks == []


def test_a_full_disk_is_told_and_ends_when_there_is_room(desk: Desk) -> None:
    desk.taker.fails = {"a.dcm": Unavailable("spool: no space")}
    (desk.inbox / "a.dcm").write_bytes(b"film")
    desk.turn()
    assert desk.causes == {Cause.FILES_WAIT}
    desk.taker.fails = {}
    assert desk.turn() == {"a.dcm": True}
    assert desk.causes == set()


LEFT_ALONE = (
    "Thumbs.db",
    "desktop.ini",
    "README.TXT",
    "DICOMDIR",
    ".DS_Store",
    "._film.dcm",
    "film.dcm.filepart",
    "film.dcm.crdownload",
    "film.PARTIAL",
    "film.dcm~",
    "~$film.dcm",
    "$RECYCLE.BIN/film.dcm",
    "__MACOSX/film.dcm",
    "exam/AUTORUN.INF",
    ".hidden/film.dcm",
)


def test_what_systems_and_senders_put_beside_films_is_left_alone(desk: Desk) -> None:
    for name in LEFT_ALONE:
        (desk.inbox / name).parent.mkdir(exist_ok=True)
        (desk.inbox / name).write_bytes(b"no film")
    (desk.inbox / "readme-film.dcm").write_bytes(b"film")
    desk.turn()
    desk.intake._list()
    assert set(desk.turn(after_s=1e6)) == {"readme-film.dcm"}
    assert desk.causes == set()
    assert desk.counts.seen == 0


def test_an_inbox_that_runs_out_of_watches_is_listed_as_well(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> int:  # noqa: ANN401
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("edge.system.inotify.Inotify.add", refuse)
        (desk.inbox / "exam").mkdir()
        desk.turn()
        (desk.inbox / "exam" / "film.dcm").write_bytes(b"film")
        assert desk.causes == {Cause.INBOX_WITHOUT_EVENTS}
        assert "max_user_watches" in desk.health.reasons[0]
        desk.turn(after_s=1)
        assert desk.turn(after_s=QUIET_S) == {"film.dcm": False}
    desk.turn(after_s=1)
    assert desk.causes == set()
    assert desk.counts.watches == 2


def test_an_inbox_for_which_there_was_no_queue_of_events_has_them_once_there_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Inotify) -> None:
        raise OSError(EMFILE, os.strerror(EMFILE))

    desk.intake._watching.close()
    with monkeypatch.context() as patched:
        patched.setattr(Inotify, "__init__", refuse)
        desk.turn()
        assert desk.causes == {Cause.INBOX_WITHOUT_EVENTS}
        assert desk.counts.watches is None
    desk.turn(after_s=1)
    assert desk.causes == set()
    assert desk.counts.watches == 1


def test_a_listing_watches_the_folders_of_which_no_event_came(desk: Desk) -> None:
    (desk.inbox / "exam" / "below").mkdir(parents=True)
    assert desk.intake._watching._watch is not None
    assert list(desk.intake._watching._watch._queue.read())  # and nobody hears of them
    desk.intake._list()
    assert desk.counts.watches == 3
    (desk.inbox / "exam" / "below" / "film.dcm").write_bytes(b"film")
    assert desk.turn() == {"film.dcm": True}


def test_a_folder_that_cannot_be_listed_is_counted_and_the_others_are_looked_at(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("shut", "open"):
        (desk.inbox / name).mkdir()
        (desk.inbox / name / "film.dcm").write_bytes(b"film")
    list_it = os.scandir

    def scan(path: Path) -> Any:  # noqa: ANN401
        if Path(path).name == "shut":
            raise PermissionError(EACCES, os.strerror(EACCES))
        return list_it(path)

    monkeypatch.setattr(os, "scandir", scan)
    desk.intake._list()
    assert desk.turn(after_s=QUIET_S) == {"film.dcm": False}
    assert desk.causes == {Cause.INBOX_UNREADABLE}
