"""The inbox is listed for what no event told of, and never all the time."""

import os
from errno import EACCES, EMFILE
from pathlib import Path
from typing import Any

import pytest

from edge.daemon.intake.listings import SOON_S
from edge.daemon.intake.walk import MAX_DEPTH
from edge.health import Cause
from edge.system.inotify import Inotify
from tests.support.desks import QUIET_S, Desk


def test_each_listing_has_the_receiver_forget_what_is_gone(desk: Desk) -> None:
    desk.taker.listings.clear()
    desk.intake._list()
    desk.taker.full = True
    (desk.inbox / "film.dcm").write_bytes(b"film")
    desk.intake._list()
    assert desk.taker.listings == [True, False]


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


def test_an_inbox_that_runs_out_of_watches_is_listed_as_well(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> int:  # noqa: ANN401
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
        opened = len(list(Path("/proc/self/fd").iterdir()))
        desk.turn(after_s=60)
        assert len(list(Path("/proc/self/fd").iterdir())) == opened
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


def list_slowly(desk: Desk, monkeypatch: pytest.MonkeyPatch, takes_s: float) -> None:
    unlock = desk.intake._candidates.unlock

    def unlock_slowly() -> None:
        desk.ahead_s += takes_s
        unlock()

    monkeypatch.setattr(desk.intake._candidates, "unlock", unlock_slowly)


def test_a_sender_that_never_rests_has_the_inbox_listed_for_a_tenth_of_the_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_s = 30.0
    list_slowly(desk, monkeypatch, takes_s)
    (desk.inbox / "exam").mkdir()
    desk.intake._list()
    desk.taker.listings.clear()
    began_s = desk.ahead_s
    for _ in range(200):
        (desk.inbox / "exam").touch()  # as senders do that copy the times of folders
        desk.turn(after_s=5)
    listing_s = takes_s * len(desk.taker.listings)
    assert 0 < listing_s <= (desk.ahead_s - began_s) / 10


def test_many_rights_that_are_changed_at_once_make_one_listing(desk: Desk) -> None:
    (desk.inbox / "exam").mkdir()
    desk.turn()
    desk.taker.listings.clear()
    for _ in range(20):
        (desk.inbox / "exam").touch()
        desk.turn(after_s=0.02)
    assert desk.taker.listings == []
    desk.turn(after_s=SOON_S)
    desk.turn(after_s=SOON_S)
    assert desk.taker.listings == [True]


def test_rights_of_hidden_folders_make_no_listing(desk: Desk) -> None:
    for name in (".snapshot", "exam/.thumbnails"):
        (desk.inbox / name).mkdir(parents=True)
    desk.turn()
    desk.taker.listings.clear()
    for name in (".snapshot", "exam/.thumbnails"):
        (desk.inbox / name).touch()
        (desk.inbox / name).chmod(0o700)
        desk.turn()
        desk.turn(after_s=60)
    assert desk.taker.listings == []


def lose_events(desk: Desk) -> None:
    watch = desk.intake._watching._watch
    assert watch is not None
    watch.overflowed = True


def test_events_that_get_lost_have_the_inbox_listed_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_slowly(desk, monkeypatch, 30.0)
    desk.intake._list()
    desk.turn(after_s=600)
    desk.taker.listings.clear()
    lose_events(desk)
    desk.turn()
    assert desk.taker.listings == [True]


def test_events_that_get_lost_without_pause_have_it_listed_for_a_tenth_of_the_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_s = 30.0
    list_slowly(desk, monkeypatch, takes_s)
    desk.intake._list()
    desk.taker.listings.clear()
    began_s = desk.ahead_s
    for _ in range(200):
        lose_events(desk)
        desk.turn(after_s=5)
    listing_s = takes_s * len(desk.taker.listings)
    assert 0 < listing_s <= (desk.ahead_s - began_s) / 10


def test_what_is_no_file_to_take_is_none_that_cannot_be_read(desk: Desk) -> None:
    (desk.inbox / "circle").symlink_to("circle")
    (desk.inbox / "exam").symlink_to("nowhere")
    os.mkfifo(desk.inbox / "pipe", 0)
    desk.intake._list()
    assert desk.causes == set()
