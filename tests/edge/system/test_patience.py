"""A file system that never answers keeps nobody waiting."""

import os
import threading
from pathlib import Path

import pytest

from edge.cli.doctor import machine
from edge.cli.doctor.finding import Level
from edge.config.settings import Settings
from edge.system.patience import within


def test_an_answer_in_time_is_given_and_an_error_raised() -> None:
    assert within(60, lambda: 7) == 7
    with pytest.raises(FileNotFoundError):
        within(60, Path("/no/such/file").stat)


def test_no_answer_in_time_is_an_error() -> None:
    with pytest.raises(TimeoutError, match=r"no answer within 0\.01 s"):
        within(0.01, threading.Event().wait)


def test_the_configuration_is_read_although_the_inbox_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, resolve = tmp_path / "inbox", Path.resolve

    def hang(path: Path, *, strict: bool = False) -> Path:
        if path == inbox:
            threading.Event().wait()
        return resolve(path, strict=strict)

    monkeypatch.setattr(Path, "resolve", hang)
    monkeypatch.setattr("edge.config.settings.PATIENCE_S", 0.01)
    assert Settings(inbox={"path": inbox}).inbox.path == inbox
    with pytest.raises(ValueError, match="lies in the inbox"):
        Settings(inbox={"path": inbox}, state={"path": inbox / "state"})


def test_doctor_says_that_the_inbox_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(_folder: Path) -> str:
        threading.Event().wait()
        return ""

    monkeypatch.setattr(machine, "filesystem_of", hang)
    monkeypatch.setattr(machine, "PATIENCE_S", 0.01)
    found = machine.inbox(tmp_path)
    assert (found.level, "does not answer" in found.detail) == (Level.FAILED, True)


def test_doctor_names_a_sender_s_folder_that_cannot_be_emptied_and_how_to_open_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("an exam", "open", "empty"):
        (tmp_path / name).mkdir()
    for name in ("an exam", "open"):
        (tmp_path / name / "film.dcm").touch()
    access = os.access

    def shut(path: Path, mode: int, **how: bool) -> bool:
        return path.name != "an exam" and access(path, mode, **how)

    monkeypatch.setattr(os, "access", shut)
    (found,) = machine.sender_folders(tmp_path)
    assert found.level is Level.FAILED
    assert f"setfacl -m u:{tmp_path.owner()}:rwx '{tmp_path}/an exam'" in found.detail
