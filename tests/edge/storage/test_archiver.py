"""One file that cannot be archived keeps none of the others in the spool."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.errors import Reason
from edge.health import Cause
from edge.models.active import shipped_bundle
from edge.storage import archiver
from edge.storage.archive_folders import ArchiveFolders
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Submission
from edge.storage.ledger.states import State
from edge.storage.names import archive_name, result_path
from edge.storage.spool import Spool
from tests.support.pipeline import Line, line_of, parts_of
from tests.support.pools import serving_from

FILMS = [f"film {number}".encode() for number in range(5)]
IDS = [hashlib.sha256(film).hexdigest() for film in FILMS]


@dataclass
class Shelf:
    """An archive that could not be written when five images were rejected."""

    line: Line
    failed: Path

    def place(self, number: int) -> Path:
        return self.failed / archive_name(FILMS[number], IDS[number])

    def look(self) -> list[int]:
        """Look for what is left over, as each turn does; return which images are archived."""
        self.line.recorder.archive_left_over()
        find = self.line.parts.ledger.images.find
        states = [image.state for image in map(find, IDS) if image is not None]
        return [number for number, state in enumerate(states) if state is State.ARCHIVED]

    @property
    def causes(self) -> set[Cause]:
        return {cause for _, cause in self.line.parts.health.reasons_and_causes()}


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setattr(archiver, "PAUSE_S", 0.0)
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    spool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    line = line_of(parts_of(ledger, spool, serving_from(shipped_bundle())))
    spool.failed.rmdir()
    spool.failed.write_bytes(b"no folder any more")
    for number, film in enumerate(FILMS):
        path = spool.claimed / f"m-{number}"
        path.write_bytes(film)
        submission = Submission(IDS[number], path, film, "folder", float(number), settled=True)
        ledger.submissions.accept(submission, "b")
        line.recorder.reject(IDS[number], Reason.POISON, "for a test")
    yield Shelf(line, spool.failed)
    ledger.close()


def test_an_archive_that_was_away_gets_all_files_once_it_is_back(shelf: Shelf) -> None:
    assert shelf.look() == []
    assert shelf.causes == {Cause.ARCHIVE_UNAVAILABLE}
    shelf.failed.unlink()
    shelf.failed.mkdir()
    shelf.look()
    assert shelf.look() == [0, 1, 2, 3, 4]
    assert shelf.causes == set()


def test_files_that_cannot_be_archived_wait_with_a_reason_and_the_others_go(shelf: Shelf) -> None:
    shelf.failed.unlink()
    for bad in (0, 2):  # somebody made a folder where the receipt belongs
        (result_path(shelf.place(bad)) / "notes").mkdir(parents=True)
    for _ in range(4):
        shelf.look()
    assert shelf.look() == [1, 3, 4]
    assert shelf.causes == {Cause.ARCHIVE_UNAVAILABLE}
    for bad in (0, 2):
        shutil.rmtree(result_path(shelf.place(bad)))
    for _ in range(2):
        shelf.look()
    assert shelf.look() == [0, 1, 2, 3, 4]
    assert shelf.causes == set()
    assert all(shelf.place(number).read_bytes() == film for number, film in enumerate(FILMS))


def test_a_file_whose_archiving_fails_as_nobody_foresaw_keeps_no_other_waiting(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = shelf.line.parts.spool.archive

    def fail(path: Path, image_id: str, *args: Any, **how: Any) -> Path:  # noqa: ANN401
        if image_id == IDS[0]:
            raise ValueError
        return archive(path, image_id, *args, **how)

    shelf.failed.unlink()
    shelf.failed.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(shelf.line.parts.spool, "archive", fail)
        shelf.look()
        assert shelf.look() == [1, 2, 3, 4]
        assert shelf.line.parts.health.reasons == ["archive: ValueError"]
    shelf.look()
    assert shelf.look() == [0, 1, 2, 3, 4]
    assert shelf.causes == set()


def test_a_retried_image_whose_archive_goes_away_is_filed_once_it_is_back(shelf: Shelf) -> None:
    """Its file lies there still: a receipt in the empty folder that is left would be of nothing."""
    parts, recorder = shelf.line.parts, shelf.line.recorder
    shelf.failed.unlink()
    shelf.failed.mkdir()
    spool = parts.spool
    spool._folders = ArchiveFolders(None, (spool.done, spool.failed))
    for _ in range(2):
        shelf.look()
    parts.ledger.submissions.retry(IDS[:1])
    away = shelf.failed.rename(shelf.failed.with_name("away"))
    shelf.failed.mkdir()
    recorder.reject(IDS[0], Reason.POISON, "for a test")
    assert shelf.look() == [1, 2, 3, 4]
    assert shelf.causes == {Cause.ARCHIVE_UNAVAILABLE}
    assert "mount it" in str(parts.health.reasons)
    assert list(shelf.failed.iterdir()) == []
    shelf.failed.rmdir()
    away.rename(shelf.failed)
    shelf.look()
    assert shelf.look() == [0, 1, 2, 3, 4]
    assert shelf.causes == set()
    assert shelf.place(0).read_bytes() == FILMS[0]


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="mammo-archiver-", dir="/dev/shm"))
    if folder.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on another file system than /tmp")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("restarted", [False, True])
def test_no_film_is_put_where_it_is_hidden_once_the_archive_is_mounted(
    shelf: Shelf, tmp_path: Path, other_disk: Path, *, restarted: bool
) -> None:
    spool, state = shelf.line.parts.spool, tmp_path / "state"
    shelf.failed.unlink()
    shelf.failed.symlink_to(other_disk)
    folders = ArchiveFolders(state, (spool.done, spool.failed))
    shelf.failed.unlink()
    shelf.failed.mkdir()
    if restarted:
        folders = ArchiveFolders(state, (spool.done, spool.failed))
    spool._folders = folders
    assert shelf.look() == []
    assert shelf.causes == {Cause.ARCHIVE_UNAVAILABLE}
    assert "is not on its own disk: mount it" in str(shelf.line.parts.health.reasons)
    assert list(shelf.failed.iterdir()) == []
    shelf.failed.rmdir()
    shelf.failed.symlink_to(other_disk)
    for _ in range(2):
        shelf.look()
    assert shelf.look() == [0, 1, 2, 3, 4]
    assert shelf.causes == set()


def test_an_archive_whose_folder_was_made_anew_on_its_disk_is_used(
    shelf: Shelf, tmp_path: Path
) -> None:
    """As a person does who empties it; some servers give other inodes at each mount, too."""
    spool = shelf.line.parts.spool
    shelf.failed.unlink()
    shelf.failed.mkdir()
    spool._folders = ArchiveFolders(tmp_path / "state", (spool.done, spool.failed))
    shelf.failed.rename(tmp_path / "old")
    shelf.failed.mkdir()
    shelf.look()
    assert shelf.look() == [0, 1, 2, 3, 4]
