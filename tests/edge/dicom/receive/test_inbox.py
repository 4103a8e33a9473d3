"""The folder for unfinished objects belongs to one receiver alone."""

import os
from pathlib import Path

import pytest

from edge.config.settings import Inbox as Place
from edge.config.settings import Settings
from edge.daemon.intake.left_alone import is_left_alone
from edge.daemon.intake.walk import Walk
from edge.dicom.receive.inbox import GIVEN_UP, Inbox, Incoming
from edge.errors import ConfigError
from tests.support.tools import need_root


def opened(folder: Path) -> Inbox:
    return Inbox(Settings(inbox=Place(path=folder)))


def test_what_an_earlier_receiver_left_is_removed_and_what_is_whole_stays(tmp_path: Path) -> None:
    (tmp_path / ".dicom").mkdir()
    (tmp_path / ".dicom/half.dcm").touch()
    (tmp_path / "whole.dcm").touch()
    opened(tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".dicom", "whole.dcm"]


def test_the_daemon_leaves_unfinished_objects_alone(tmp_path: Path) -> None:
    incoming = Incoming(opened(tmp_path), b"head")
    assert len(list((tmp_path / ".dicom").iterdir())) == 1
    assert [names for _, names in Walk(tmp_path)] == [[]]
    assert is_left_alone(Path(".dicom/half.dcm"))
    assert incoming.finish() is None
    assert [len(names) for _, names in Walk(tmp_path)] == [1]


def test_a_second_receiver_of_an_inbox_is_refused(tmp_path: Path) -> None:
    first = opened(tmp_path)
    with pytest.raises(ConfigError, match="another receiver puts objects there"):
        opened(tmp_path)
    assert first.closed() is None


def test_a_link_in_the_place_of_the_folder_leads_nowhere(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "precious").touch()
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox/.dicom").symlink_to(other)
    with pytest.raises(ConfigError, match=r"inbox\.path: .*: "):
        opened(tmp_path / "inbox")
    assert (other / "precious").exists()


def test_a_folder_that_another_user_made_is_refused(tmp_path: Path) -> None:
    need_root()
    (tmp_path / ".dicom").mkdir()
    os.chown(tmp_path / ".dicom", 4711, 4711)
    with pytest.raises(ConfigError, match="belongs to another user: remove it"):
        opened(tmp_path)


def test_an_inbox_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"inbox\.path: .*none: No such file or directory"):
        opened(tmp_path / "none")


def test_the_unfinished_are_for_nobody_else_and_the_whole_for_the_group(tmp_path: Path) -> None:
    incoming = Incoming(opened(tmp_path), b"head")
    assert (tmp_path / ".dicom").stat().st_mode & 0o777 == 0o700
    assert incoming.finish() is None
    (whole,) = (path for path in tmp_path.iterdir() if path.name != ".dicom")
    assert whole.stat().st_mode & 0o777 == 0o640


def test_what_was_given_up_is_gone_and_is_not_put_into_the_inbox(tmp_path: Path) -> None:
    incoming = Incoming(opened(tmp_path), b"head")
    incoming.discard()
    incoming.discard()
    incoming.write(b"more")
    assert incoming.finish() == GIVEN_UP
    assert [path.name for path in tmp_path.rglob("*")] == [".dicom"]
