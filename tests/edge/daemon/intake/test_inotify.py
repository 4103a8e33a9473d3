"""Events of the inbox, and what they say of a file's writer."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from errno import ENOSPC
from itertools import islice
from pathlib import Path

import pytest

from edge.daemon.intake import walk
from edge.daemon.intake.inotify import Watch
from edge.daemon.intake.walk import MAX_DEPTH
from edge.daemon.intake.writers import Said, Writers
from edge.system import inotify
from edge.system.inotify import Event, Inotify


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def watched(inbox: Path) -> Iterator[Watch]:
    opened = Watch(inbox)
    yield opened
    opened.close()


def said_of(watched: Watch, path: Path) -> list[Said]:
    """Return what the events that wait say of one path; the kernel tells at once."""
    return [hint.said for hint in watched.hints(0) if hint.path == path]


def test_a_file_is_being_written_from_its_opening_until_it_is_closed(
    inbox: Path, watched: Watch
) -> None:
    path = inbox / "film.dcm"
    with path.open("wb") as writer:
        assert said_of(watched, path)[-1] is Said.WRITING
        writer.write(b"half")
        writer.flush()
        assert said_of(watched, path) == [Said.WRITING]
        path.read_bytes()  # a reader that comes and goes changes nothing
        assert said_of(watched, path) == []
        writer.write(b"rest")
    assert said_of(watched, path)[-1] is Said.FINISHED


def test_a_file_that_is_renamed_before_it_is_closed_is_not_finished(
    inbox: Path, watched: Watch
) -> None:
    with (inbox / "film.part").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        path = (inbox / "film.part").rename(inbox / "film.dcm")
        assert said_of(watched, path) == [Said.WRITING]
    assert said_of(watched, path)[-1] is Said.FINISHED


def test_a_file_moved_inside_the_inbox_is_finished_under_its_new_name(
    inbox: Path, watched: Watch
) -> None:
    (inbox / "film.part").write_bytes(b"film")
    path = (inbox / "film.part").rename(inbox / "film.dcm")
    assert said_of(watched, path) == [Said.FINISHED]


def test_a_hard_link_is_new_and_has_no_writer_even_when_it_is_read(
    tmp_path: Path, inbox: Path, watched: Watch
) -> None:
    path = inbox / "film.dcm"
    (tmp_path / "elsewhere").write_bytes(b"film")
    path.hardlink_to(tmp_path / "elsewhere")
    assert said_of(watched, path) == [Said.MADE]
    path.read_bytes()
    assert said_of(watched, path)[-1] is Said.RELEASED


def test_a_file_that_comes_after_one_was_moved_out_is_seen(inbox: Path, watched: Watch) -> None:
    for number in range(20):
        path = inbox / f"{number}.dcm"
        path.write_bytes(b"film")
        assert said_of(watched, path)[-1] is Said.FINISHED
        path.rename(inbox.parent / path.name)


def test_a_folder_that_is_renamed_is_watched_under_its_new_name(
    inbox: Path, watched: Watch
) -> None:
    (inbox / "exam" / "old").mkdir(parents=True)
    list(watched.hints(0))
    new = (inbox / "exam").rename(inbox / "again") / "old"
    list(watched.hints(0))
    (new / "film.dcm").write_bytes(b"film")
    assert said_of(watched, new / "film.dcm")[-1] is Said.FINISHED
    assert watched.used == 3


@pytest.mark.parametrize("back", ["exam", "again"])
def test_a_folder_that_leaves_the_inbox_and_comes_back_at_once_is_watched(
    tmp_path: Path, inbox: Path, watched: Watch, back: str
) -> None:
    (inbox / "exam" / "left").mkdir(parents=True)
    list(watched.hints(0))
    (inbox / "exam").rename(tmp_path / "away")
    list(watched.hints(0))
    new = (tmp_path / "away").rename(inbox / back) / "left"
    for _ in range(3):
        list(watched.hints(0))
    (new / "film.dcm").write_bytes(b"film")
    assert said_of(watched, new / "film.dcm")[-1] is Said.FINISHED
    assert watched.used == 3


def test_what_a_new_folder_holds_already_is_new_and_has_no_known_writer(
    inbox: Path, watched: Watch
) -> None:
    (inbox / "exam" / "left").mkdir(parents=True)
    path = inbox / "exam" / "left" / "film.dcm"
    path.write_bytes(b"film")
    assert said_of(watched, path) == [Said.MADE]


def test_a_file_that_comes_while_its_folder_is_listed_for_the_first_time_is_seen(
    inbox: Path, watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, path = walk._entries, inbox / "exam" / "left" / "film.dcm"

    def come_late(folder: Path) -> tuple[list[str], list[str]]:
        listed = entries(folder)
        if folder == path.parent:
            path.write_bytes(b"film")
        return listed

    path.parent.mkdir(parents=True)
    monkeypatch.setattr(walk, "_entries", come_late)
    assert said_of(watched, path)[-1] is Said.FINISHED


def test_folders_are_watched_down_to_a_depth(inbox: Path, watched: Watch) -> None:
    (inbox / "/".join("d" * (MAX_DEPTH + 5))).mkdir(parents=True)
    list(watched.hints(0))
    assert watched.used == MAX_DEPTH + 1


def test_lost_events_are_told(inbox: Path, watched: Watch) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for _ in range(most // 2 + 10):  # open and close alternate, so that none are merged
        os.close(os.open(inbox, os.O_RDONLY | os.O_DIRECTORY))
    list(watched.hints(0))
    assert watched.overflowed


def test_a_folder_for_which_there_is_no_watch_is_known_until_it_has_one(
    inbox: Path, watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_self: Inotify, _folder: Path, _mask: int, **_: bool) -> int:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(Inotify, "add", refuse)
        (inbox / "exam").mkdir()
        list(watched.hints(0))
        assert watched.unwatched == {inbox / "exam"}
        assert not watched.add(inbox / "exam")
    assert watched.add(inbox / "exam")
    assert watched.unwatched == set()
    assert watched.used == 2


def test_rights_of_a_folder_that_were_changed_are_told_apart_from_those_of_a_file(
    inbox: Path, watched: Watch
) -> None:
    (inbox / "exam").mkdir()
    (inbox / "film.dcm").write_bytes(b"film")
    list(watched.hints(0))
    for path in (inbox, inbox / "exam", inbox / "film.dcm"):
        path.chmod(0o700)
    told = {hint.path: hint.of_folder for hint in watched.hints(0) if hint.said is Said.RIGHTS}
    assert told == {inbox: True, inbox / "exam": True, inbox / "film.dcm": False}


def test_senders_that_write_without_pause_have_the_others_hints_end_too(
    inbox: Path, watched: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, most = Inotify.read, 10_000

    def never_empty(queue: Inotify) -> Iterator[Event]:
        (inbox / "film.dcm").write_bytes(b"film")
        return read(queue)

    monkeypatch.setattr(Inotify, "read", never_empty)
    assert sum(1 for _ in islice(watched.hints(0), most)) < most


def test_a_wake_after_the_end_writes_into_no_file_that_was_opened_since(
    tmp_path: Path, inbox: Path
) -> None:
    watch = Watch(inbox)
    watch.close()
    with ExitStack() as opened:
        for number in range(8):  # of the lowest free descriptors
            opened.enter_context((tmp_path / str(number)).open("wb"))
        watch.wake()
    assert [(tmp_path / str(number)).read_bytes() for number in range(8)] == [b""] * 8


def test_renames_of_open_files_that_come_between_each_other_s_halves_finish_neither() -> None:
    """Two folders are renamed in at the same time by two processors."""
    writers, (one, two) = Writers(), (Path("/in/one.part"), Path("/in/two.part"))
    for path in (one, two):
        writers.told(path, Event(1, inotify.MODIFY, 0, os.fsencode(path.name)))
    halves = [(one, inotify.MOVED_FROM, 1), (two, inotify.MOVED_FROM, 2)]
    halves += [(Path("/in/one"), inotify.MOVED_TO, 1), (Path("/in/two"), inotify.MOVED_TO, 2)]
    said = [writers.told(path, Event(1, mask, cookie, b"")) for path, mask, cookie in halves]
    assert said == [None, None, Said.WRITING, Said.WRITING]


def test_an_inbox_that_is_reached_through_a_link_is_watched_and_a_sender_s_link_is_not(
    tmp_path: Path, inbox: Path
) -> None:
    (tmp_path / "link").symlink_to(inbox)
    watch = Watch(tmp_path / "link")
    try:
        (inbox / "film.dcm").write_bytes(b"film")
        assert said_of(watch, tmp_path / "link" / "film.dcm")[-1] is Said.FINISHED
        (tmp_path / "outside").mkdir()
        (inbox / "exam").symlink_to(tmp_path / "outside")
        assert not watch.add(tmp_path / "link" / "exam")
        assert watch.used == 1
    finally:
        watch.close()
