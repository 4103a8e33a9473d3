"""A file of the inbox is taken once its sender is done, and none keeps the others waiting."""

import os
import socket
from pathlib import Path

import pytest

from edge.daemon.intake.candidates import SETTLED_AFTER
from edge.daemon.intake.complaints import UNFINISHED_S
from edge.daemon.intake.folder import SET_ASIDE_S, TAKING_S
from edge.errors import LockedError, Unavailable
from edge.health import Cause
from tests.support.desks import QUIET_S, Desk


def test_a_file_that_was_closed_is_taken_at_once(desk: Desk) -> None:
    (desk.inbox / "film.dcm").write_bytes(b"film")
    assert desk.turn() == {"film.dcm": True}


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


def test_a_folder_that_becomes_a_link_leads_to_no_file_outside(desk: Desk, tmp_path: Path) -> None:
    outside, exam = tmp_path / "outside", desk.inbox / "exam"
    for folder in (outside, exam):
        folder.mkdir()
    (outside / "film.dcm").write_bytes(b"something of ours")
    desk.turn()
    desk.taker.full = True
    (exam / "film.dcm").write_bytes(b"film")
    desk.turn()
    exam.rename(tmp_path / "away")
    exam.symlink_to(outside)
    desk.taker.full = False
    for _ in range(3):
        desk.turn(after_s=SETTLED_AFTER * QUIET_S)
        desk.intake._list()
    assert desk.taker.taken == {}
    assert (outside / "film.dcm").exists()


def test_a_file_linked_in_under_the_name_of_one_that_was_removed_while_open_is_taken(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_bytes(b"film")
    with (desk.inbox / "film.dcm").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        desk.turn()
        (desk.inbox / "film.dcm").unlink()
    (desk.inbox / "film.dcm").hardlink_to(tmp_path / "elsewhere")
    desk.turn()
    assert desk.turn(after_s=QUIET_S) == {"film.dcm": False}


@pytest.mark.parametrize("kind", ["fifo", "socket", "link", "folder"])
def test_what_takes_the_place_of_a_file_that_waits_is_none(desk: Desk, kind: str) -> None:
    path = desk.inbox / "film.dcm"
    with path.open("wb"):
        desk.turn()
        assert desk.counts.seen == 1
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        match kind:
            case "fifo":
                os.mkfifo(path)
            case "socket":
                listener.bind(str(path))
            case "link":
                path.symlink_to("nowhere")
            case _:
                path.mkdir()
    desk.intake._list()
    assert desk.turn(after_s=1e6) == {}
    assert (desk.counts.seen, desk.causes) == (0, set())


def test_a_file_in_a_folder_that_is_renamed_while_it_is_open_waits_for_its_end(desk: Desk) -> None:
    (desk.inbox / "exam" / "left").mkdir(parents=True)
    desk.turn()
    with (desk.inbox / "exam" / "left" / "film.dcm").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        desk.turn()
        (desk.inbox / "exam").rename(desk.inbox / "sent")
        desk.turn()
        assert desk.turn(after_s=3600) == {}
        writer.write(b"the rest")
    assert desk.turn() == {"film.dcm": True}


def test_a_file_that_is_closed_while_its_folder_is_renamed_is_taken(desk: Desk) -> None:
    (desk.inbox / "exam").mkdir()
    desk.turn()
    with (desk.inbox / "exam" / "film.dcm").open("wb") as writer:
        writer.write(b"film")
        writer.flush()
        desk.turn()
        (desk.inbox / "exam").rename(desk.inbox / "sent")
    desk.turn()
    assert desk.turn(after_s=QUIET_S).keys() == {"film.dcm"}


def test_a_folder_that_left_the_inbox_is_not_watched_any_more(desk: Desk, tmp_path: Path) -> None:
    for number in range(3):
        (desk.inbox / "exam" / "left").mkdir(parents=True)
        desk.turn()
        assert desk.counts.watches == 3
        (desk.inbox / "exam").rename(tmp_path / f"away-{number}")
        desk.turn()
        desk.turn()
        assert desk.counts.watches == 1


def test_an_inbox_that_is_removed_and_made_anew_is_watched_again(desk: Desk) -> None:
    """A file system may give the new folder the inode of the old one."""
    for _ in range(20):
        desk.inbox.rmdir()
        desk.inbox.mkdir()
        desk.turn()
        (desk.inbox / "film.dcm").write_bytes(b"film")
        assert desk.turn() == {"film.dcm": True}
        desk.taker.taken.clear()


def test_the_events_of_others_are_heard_while_a_backlog_is_taken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the kernel would drop some, and nobody would know who still writes."""
    take = desk.taker.take_file
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())

    def take_slowly(path: Path, *, quiet: float) -> bool:
        for _ in range(most // 6):
            os.close(os.open(desk.inbox, os.O_RDONLY | os.O_DIRECTORY))
        desk.ahead_s += TAKING_S
        return take(path, quiet=quiet)

    monkeypatch.setattr(desk.taker, "take_file", take_slowly)
    with (desk.inbox / "open.dcm").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        desk.turn()
        for number in range(9):
            (desk.inbox / f"{number}.dcm").write_bytes(b"film")
        for _ in range(12):
            desk.turn()
        desk.turn(after_s=QUIET_S)
        assert set(desk.turn()) == {f"{number}.dcm" for number in range(9)}
