"""`mammo-edge retry` calls no file gone that is away with its folder."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from errno import EACCES, EIO, ENOTCONN
from pathlib import Path

import pytest

from edge.daemon.control.handlers import Commands
from edge.errors import ConfigError, Reason, Unavailable
from edge.models.active import shipped_bundle
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Submission
from edge.storage.ledger.states import State
from edge.storage.spool import Spool
from tests.support.pipeline import AtOnce, folders_of, line_of, parts_of
from tests.support.pools import serving_from

FILMS = [b"film one", b"film two"]
IDS = [hashlib.sha256(film).hexdigest() for film in FILMS]


@dataclass
class Desk:
    """Two rejected images in the archive, and who has them examined again."""

    commands: Commands
    ledger: Ledger
    failed: Path

    def path(self, number: int) -> Path:
        found = self.ledger.images.path_of(IDS[number])
        assert found is not None
        return found

    def waiting(self) -> list[str]:
        return [image.image_id for image in self.ledger.images.in_state(State.RECEIVED)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    ledger = Ledger(tmp_path / "state", [], lambda payload, _: payload)
    spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    line = line_of(parts_of(ledger, spool, serving_from(shipped_bundle()), tasks=AtOnce()))
    for number, film in enumerate(FILMS):
        path = spool.claimed / f"m-{number}"
        path.write_bytes(film)
        submission = Submission(IDS[number], path, film, "folder", float(number), settled=True)
        ledger.submissions.accept(submission, "b")
        line.recorder.reject(IDS[number], Reason.POISON, "for a test")
    yield Desk(Commands(folders_of(tmp_path), line.parts, lambda: None), ledger, spool.failed)
    ledger.close()


@pytest.mark.parametrize("request_", [{"images": IDS[:1]}, {"all": True}])
def test_images_whose_archive_is_not_mounted_are_not_said_to_be_gone(
    desk: Desk, request_: dict[str, object]
) -> None:
    away = desk.failed.rename(desk.failed.with_name("away"))
    desk.failed.mkdir()
    with pytest.raises(Unavailable, match="is not the folder that it was: mount it"):
        desk.commands.retry(request_)
    assert desk.waiting() == []
    desk.failed.rmdir()
    away.rename(desk.failed)
    desk.commands.retry(request_)
    assert IDS[0] in desk.waiting()


@pytest.mark.parametrize("error", [EACCES, EIO, ENOTCONN])
@pytest.mark.parametrize("request_", [{"images": IDS[:1]}, {"all": True}])
def test_images_at_which_the_disk_does_not_let_anybody_look_are_not_said_to_be_gone(
    desk: Desk, request_: dict[str, object], error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, **how: bool) -> os.stat_result:
        if path.parent == desk.failed:
            raise OSError(error, os.strerror(error))
        return os.stat(path, **how)  # noqa: PTH116 - what stands here is `Path.stat`

    monkeypatch.setattr(Path, "stat", fail)
    monkeypatch.setattr(Path, "lstat", lambda path: fail(path, follow_symlinks=False))
    with pytest.raises(Unavailable, match=os.strerror(error)):
        desk.commands.retry(request_)
    assert desk.waiting() == []


def test_one_image_at_which_nobody_can_look_keeps_no_other_from_being_examined_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = desk.path(0)

    def fail(path: Path, **how: bool) -> os.stat_result:
        if path == bad:
            raise OSError(EIO, os.strerror(EIO))
        return os.stat(path, **how)  # noqa: PTH116 - what stands here is `Path.stat`

    monkeypatch.setattr(Path, "stat", fail)
    assert desk.commands.retry({"all": True}) == {"images": IDS[1:]}


def test_an_image_whose_file_was_removed_is_said_to_be_gone_and_keeps_no_other(desk: Desk) -> None:
    desk.path(0).unlink()
    with pytest.raises(ConfigError, match="the file is no longer in done or failed"):
        desk.commands.retry({"images": IDS[:1]})
    assert desk.commands.retry({"all": True}) == {"images": IDS[1:]}


def test_an_image_that_retention_removed_is_gone_wherever_its_folder_is(desk: Desk) -> None:
    assert desk.ledger.pruning.remove_file(IDS[0], Path.unlink)
    desk.failed.rename(desk.failed.with_name("away"))
    with pytest.raises(ConfigError, match="the file is no longer in done or failed"):
        desk.commands.retry({"images": IDS[:1]})
