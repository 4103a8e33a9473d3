"""Events of the inbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.daemon.intake.inotify import PAIRING_S, Hint, Watch
from edge.system import workarounds


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


def wait_until_finished(watched: Watch, path: Path) -> None:
    """Take hints until one says that this path is finished."""
    while watched.hints.get(timeout=10) != Hint(path, finished=True):
        continue


def test_a_file_that_was_moved_out_holds_up_later_events_for_milliseconds_only() -> None:
    assert workarounds.move_grouper().delay == PAIRING_S <= 0.01


def test_a_file_moved_inside_the_inbox_is_finished_under_its_new_name(
    inbox: Path, watched: Watch
) -> None:
    (inbox / "film.part").write_bytes(b"film")
    (inbox / "film.part").rename(inbox / "film.dcm")
    wait_until_finished(watched, inbox / "film.dcm")


def test_a_file_that_comes_after_one_was_moved_out_is_seen(inbox: Path, watched: Watch) -> None:
    for number in range(20):
        path = inbox / f"{number}.dcm"
        path.write_bytes(b"film")
        wait_until_finished(watched, path)
        path.rename(inbox.parent / path.name)


def test_a_folder_that_is_renamed_is_watched_under_its_new_name(inbox: Path) -> None:
    for number in range(20):
        (inbox / f"old-{number}").mkdir()
    watched = Watch(inbox)
    for number in range(20):
        new = (inbox / f"old-{number}").rename(inbox / f"new-{number}")
        (inbox / "film.dcm").write_bytes(b"film")
        wait_until_finished(watched, inbox / "film.dcm")  # so the rename was seen, too
        (new / "film.dcm").write_bytes(b"film")
        wait_until_finished(watched, new / "film.dcm")
    watched.close()
