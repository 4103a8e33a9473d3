"""A writer is believed in for as long as its file has its place, and no longer."""

import os
import shutil
from pathlib import Path

import pytest

from edge.daemon.intake.writers import Said, Writers
from edge.system import inotify
from edge.system.inotify import Event
from tests.support.desks import QUIET_S, Desk


@pytest.mark.parametrize("how", ["moved out", "hidden", "removed"])
@pytest.mark.parametrize("listed", [False, True])
def test_a_film_in_a_folder_that_has_the_name_of_one_that_went_while_a_film_was_open_is_taken(
    desk: Desk, tmp_path: Path, how: str, *, listed: bool
) -> None:
    exam, away = desk.inbox / "exam", tmp_path / "away"
    (exam / "left").mkdir(parents=True)
    desk.turn()
    with (exam / "left" / "film.dcm").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        desk.turn()
        match how:
            case "removed":
                shutil.rmtree(exam)
                (away / "left").mkdir(parents=True)
                (away / "left" / "film.dcm").write_bytes(b"another film")
            case "hidden":
                away = exam.rename(desk.inbox / ".away")
            case _:
                exam.rename(away)
        for _ in range(2):
            desk.turn()
        if listed:
            desk.intake._list()
        writer.write(b"the rest")
    away.rename(exam)
    desk.turn()
    assert desk.turn(after_s=QUIET_S).keys() == {"film.dcm"}
    assert desk.causes == set()


def test_a_film_that_came_whole_while_its_folder_was_elsewhere_has_no_writer(
    desk: Desk, tmp_path: Path
) -> None:
    exam = desk.inbox / "exam"
    exam.mkdir()
    desk.turn()
    with (exam / "film.dcm").open("wb") as writer:
        writer.write(b"half")
        writer.flush()
        desk.turn()
        shutil.rmtree(exam)
        (tmp_path / "film.dcm").write_bytes(b"another film")
        exam.mkdir()
        (tmp_path / "film.dcm").rename(exam / "film.dcm")
        desk.turn()
        assert desk.turn(after_s=QUIET_S).keys() == {"film.dcm"}


def test_a_hard_link_that_is_renamed_before_anybody_opens_it_is_taken(
    desk: Desk, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").write_bytes(b"film")
    (desk.inbox / ".film.dcm").hardlink_to(tmp_path / "elsewhere")
    desk.turn()
    (desk.inbox / ".film.dcm").rename(desk.inbox / "film.dcm")
    assert desk.turn() == {"film.dcm": True}


def test_a_new_file_that_is_renamed_before_its_opening_is_told_is_written_from_then_on() -> None:
    writers, path = Writers(), Path("/in/film.dcm")
    writers.told(Path("/in/film.part"), Event(1, inotify.CREATE, 0, b""))
    writers.told(Path("/in/film.part"), Event(1, inotify.MOVED_FROM, 1, b""))
    said = [
        writers.told(path, Event(1, mask, cookie, b""))
        for mask, cookie in ((inotify.MOVED_TO, 1), (inotify.OPEN, 0), (inotify.CLOSE_WRITE, 0))
    ]
    assert said == [Said.FINISHED, Said.WRITING, Said.FINISHED]


def test_a_folder_whose_name_begins_with_that_of_a_new_one_keeps_its_writers() -> None:
    writers, path = Writers(), Path("/in/exam-2/film.dcm")
    writers.told(path, Event(1, inotify.MODIFY, 0, os.fsencode(path.name)))
    writers.forget_below(Path("/in/exam"))
    assert writers.said_of(path) is Said.WRITING


def test_after_lost_events_a_rename_whose_first_half_was_heard_has_no_writer() -> None:
    writers = Writers()
    writers.told(Path("/in/film.part"), Event(1, inotify.MODIFY, 0, b""))
    writers.told(Path("/in/film.part"), Event(1, inotify.MOVED_FROM, 1, b""))
    writers.forget()
    told = writers.told(Path("/in/film.dcm"), Event(1, inotify.MOVED_TO, 1, b""))
    assert told is Said.FINISHED
