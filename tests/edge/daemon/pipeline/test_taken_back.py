"""A film that changed where it lies is taken up once, as itself, whatever fails meanwhile."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EBUSY, EIO, EMFILE, ENOSPC, EROFS, ESTALE, ETIMEDOUT, errorcode
from pathlib import Path
from typing import Any, cast

import pytest

from edge.daemon.intake import CLOSED
from edge.daemon.workers.serving import Serving
from edge.domain import Rejection
from edge.errors import Reason
from edge.health import Cause
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.storage import archiver, known_looks
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Image, Submission
from edge.storage.ledger.states import State
from edge.storage.names import RENAMED
from edge.storage.spool import Spool
from edge.system import files
from tests.support.pipeline import folders_of, line_of, parts_of
from tests.support.pools import Pool

A, B, C = b"a film", b"another film", b"a third film"
ERRORS = (EBUSY, EIO, EMFILE, ENOSPC, EROFS, ESTALE, ETIMEDOUT)
each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: errorcode[error])


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def failing(path: Path, method: str, error: int) -> Iterator[None]:
    """Have a method of one path fail."""
    real = getattr(Path, method)

    def fail(self: Path, *args: Any, **how: Any) -> Any:  # noqa: ANN401
        if self == path:
            raise OSError(error, os.strerror(error))
        return real(self, *args, **how)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, method, fail)
        yield


@dataclass
class Desk:
    """A pipeline whose folder of rejected films lies on another mount."""

    ledger: Ledger
    folder: Path
    failed: Path

    def start(self) -> None:
        self.spool = Spool(self.folder / "spool", self.folder / "done", self.failed)
        self.pool = Pool()
        serving = Serving(verify(shipped_bundle()), cast("Any", self.pool))
        self.line = line_of(parts_of(self.ledger, self.spool, serving, look_again_s=0.0))
        self.turn()

    def turn(self) -> None:
        """One turn, a while after the last one."""
        put, recovery = self.line.dispatcher._put_off, self.line.recovery
        put._resting.clear()
        for failed in put._failed.values():
            failed.until = 0.0
        recovery._again_at = recovery._second_look._again_at = 0.0
        self.line.dispatcher._pause_until = 0.0
        self.line.dispatcher._turn()

    def take(self, data: bytes, name: str = "m-1", topic: str | None = None) -> Path:
        path = self.spool.claimed / name
        path.write_bytes(data)
        self.spool.rehash(path)
        submission = Submission(
            sha(data),
            path,
            b"film.dcm",
            "mqtt" if topic else "folder",
            0.0,
            settled=False,
            response_topic=topic,
        )
        self.ledger.submissions.accept(submission, self.line.parts.model.serving.bundle.bundle_id)
        return path

    def archived(self) -> Path:
        """Archive film A, into which its sender then writes film B."""
        self.take(A)
        self.line.recorder.reject(sha(A), Reason.POISON, "for a test")
        path = self.image(A).path
        path.write_bytes(B)
        return path

    def image(self, data: bytes) -> Image:
        found = self.ledger.images.find(sha(data))
        assert found is not None
        return found

    def submissions(self, data: bytes) -> int:
        query = "SELECT count(*) FROM submissions WHERE image_id = ? AND source != 'retry'"
        with self.ledger._database.reading() as db:
            return int(db.execute(query, (sha(data),)).fetchone()[0])

    def go_on(self) -> None:
        """Let some time go by, in which the worker rejects whatever it is given."""
        for _ in range(5):
            self.turn()
            while self.pool.asked:
                self.pool.answer(Rejection(Reason.NOT_A_MAMMOGRAM, "for a test"))
                self.turn()

    def claimed(self) -> list[bytes]:
        return sorted(path.read_bytes() for path in self.spool.claimed.iterdir())

    def misfiled(self) -> list[Path]:
        """List the films of the archive that are not in the name of their bytes."""
        found = [path for path in self.spool.failed.iterdir() if path.suffix != ".json"]
        return [path for path in found if sha(path.read_bytes())[:16] not in path.name]

    @property
    def causes(self) -> set[Cause]:
        return {cause for _, cause in self.line.parts.health.reasons_and_causes()}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(known_looks, "TICK_NS", -(10**9))
    monkeypatch.setattr(archiver, "PAUSE_S", 0.0)
    failed = Path(tempfile.mkdtemp(prefix="mammo-taken-back-", dir="/dev/shm"))
    if failed.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on another file system than /tmp")
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    ledger.restore.finish()
    made = Desk(ledger, tmp_path, failed)
    made.start()
    yield made
    ledger.close()
    shutil.rmtree(failed)


def retried(desk: Desk) -> Path:
    path = desk.archived()
    desk.ledger.submissions.retry([sha(A)])
    return path


def looked_at(desk: Desk) -> Path:
    return desk.archived()


@each_error
@pytest.mark.parametrize("begin", [retried, looked_at])
def test_a_changed_film_that_fails_twice_to_leave_the_archive_is_examined_as_itself_alone(
    desk: Desk, begin: Callable[[Desk], Path], error: int
) -> None:
    path = begin(desk)
    for method in ("rename", "unlink"):
        with failing(path, method, error):
            desk.turn()
        assert Cause.LOOP_FAILED in desk.causes
        assert (desk.pool.asked, desk.ledger.images.find(sha(B))) == ([], None)
    desk.go_on()
    assert (desk.image(A).state, desk.image(B).state) == (State.ARCHIVED, State.ARCHIVED)
    assert (desk.submissions(B), desk.claimed(), desk.misfiled()) == (1, [], [])
    assert desk.causes == set()


@each_error
def test_a_changed_film_of_the_spool_for_which_somebody_waits_is_examined_as_itself_alone(
    desk: Desk, error: int
) -> None:
    path = desk.take(A, topic="answers")
    path.write_bytes(B)
    for _ in range(2):
        with failing(path, "rename", error):
            desk.turn()
        assert desk.pool.asked == []
    desk.go_on()
    assert (desk.image(A).state, desk.image(B).state) == (State.ARCHIVED, State.ARCHIVED)
    assert (desk.submissions(B), desk.misfiled()) == (1, [])


@pytest.mark.parametrize("begin", [retried, looked_at])
@pytest.mark.parametrize("removed", [False, True])
def test_a_copy_that_each_start_finds_is_taken_up_once(
    desk: Desk, begin: Callable[[Desk], Path], *, removed: bool
) -> None:
    path = begin(desk)
    with failing(path, "unlink", EBUSY):
        for _ in range(3):
            desk.go_on()
            desk.start()
        assert desk.submissions(B) == 1
        assert len(desk.claimed()) <= 1
    if removed:
        desk.image(B).path.unlink()
    desk.go_on()
    assert (desk.submissions(B), desk.claimed(), desk.misfiled()) == (1, [], [])
    assert desk.image(B).path.read_bytes() == B
    assert not path.exists()


@pytest.mark.parametrize("begin", [retried, looked_at])
def test_a_film_whose_removal_is_done_and_unheard_of_is_taken_up_soon(
    desk: Desk, begin: Callable[[Desk], Path]
) -> None:
    path = begin(desk)
    with failing(path, "unlink", ETIMEDOUT):
        desk.turn()
    path.unlink()
    desk.go_on()
    assert desk.image(B).state is State.ARCHIVED
    assert (desk.submissions(B), desk.claimed(), desk.misfiled()) == (1, [], [])


def test_a_verdict_is_not_recorded_while_no_file_can_be_read_to_tell_of_which_bytes_it_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = desk.take(A)
    desk.turn()
    desk.spool._looks = known_looks.KnownLooks()
    path.write_bytes(B)

    def fail(*_: Any, **__: Any) -> None:  # noqa: ANN401
        raise OSError(EMFILE, os.strerror(EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr(files, "open_regular", fail)
        desk.pool.answer(Rejection(Reason.NOT_A_MAMMOGRAM, "for a test"))
        desk.line.dispatcher._record_finished()
    assert desk.image(A).state is State.RECEIVED
    assert desk.causes == set()


@each_error
def test_a_film_that_comes_twice_and_whose_second_file_cannot_be_removed_is_recorded_twice_at_most(
    desk: Desk, tmp_path: Path, error: int
) -> None:
    desk.take(A)
    path, unlink = tmp_path / "inbox" / "film.dcm", Path.unlink
    path.parent.mkdir()
    path.write_bytes(A)
    reception = desk.line.reception(folders_of(tmp_path))

    def fail(self: Path, *, missing_ok: bool = False) -> None:
        if self.name.startswith(RENAMED):
            raise OSError(error, os.strerror(error))
        unlink(self, missing_ok=missing_ok)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "unlink", fail)
        reception.take_file(path, quiet=CLOSED)
        assert not path.exists()
        desk.start()
        assert desk.causes == {Cause.ORPHANS_LEFT}
    assert desk.submissions(A) == 2
    desk.go_on()
    assert (desk.claimed(), desk.causes) == ([], set())


@each_error
def test_a_second_copy_of_an_archived_film_that_cannot_leave_the_spool_goes_later(
    desk: Desk, error: int
) -> None:
    desk.take(A)
    image = desk.image(A)
    spare = desk.spool.claimed / f"{RENAMED}1"
    archive = desk.line.parts.spool.archive

    def come_again(path: Path, *args: Any, **how: Any) -> Path:  # noqa: ANN401
        place = archive(path, *args, **how)
        if path == image.path:
            place.rename(place.with_suffix(".away"))
            desk.take(A, spare.name)
            place.with_suffix(".away").rename(place)
        return place

    with pytest.MonkeyPatch.context() as patched, failing(spare, "unlink", error):
        patched.setattr(desk.line.parts.spool, "archive", come_again)
        desk.line.recorder.reject(sha(A), Reason.POISON, "for a test")
    assert desk.image(A).path.read_bytes() == A
    desk.go_on()
    assert desk.image(A).path.read_bytes() == A
    assert (desk.claimed(), desk.causes) == ([], set())


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_second_file_of_a_film_that_lies_in_the_spool_at_a_start_goes_if_it_is_no_other_by_then(
    desk: Desk, *, goes_on: bool
) -> None:
    desk.take(A)
    spare = desk.take(A, f"{RENAMED}1")
    if goes_on:
        spare.write_bytes(B)
    desk.start()
    desk.go_on()
    assert desk.submissions(A) == 2
    assert desk.submissions(B) == goes_on
    assert (desk.claimed(), desk.misfiled(), desk.causes) == ([], [], set())
    if goes_on:
        assert desk.image(B).path.read_bytes() == B
