"""A file that changed in the archive is taken back once, however its moving fails."""

import hashlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from errno import (
    EACCES,
    EBUSY,
    EDQUOT,
    EIO,
    EMFILE,
    ENOENT,
    ENOMEM,
    ENOSPC,
    EPERM,
    EROFS,
    ESTALE,
    ETIMEDOUT,
    errorcode,
)
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from edge.errors import Unavailable
from edge.storage import known_looks, names
from edge.storage.known_looks import Since
from edge.storage.spool import Spool
from edge.system import files, moving

A, B, C = b"a film" * 50, b"another film" * 50, b"a third film" * 50
NAME = b"film.dcm"
ERRORS = (EACCES, EBUSY, EDQUOT, EIO, EMFILE, ENOMEM, ENOSPC, EPERM, EROFS, ESTALE, ETIMEDOUT)
each_error = pytest.mark.parametrize("error", ERRORS, ids=lambda error: errorcode[error])


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def spool_of(folder: Path, failed: Path) -> Spool:
    return Spool(folder / "spool", folder / "done", failed)


@pytest.fixture(autouse=True)
def _slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as if some time went by after each was written."""
    monkeypatch.setattr(known_looks, "TICK_NS", -(10**9))


@pytest.fixture
def near(tmp_path: Path) -> Spool:
    """A spool whose archive lies on the same mount."""
    return spool_of(tmp_path, tmp_path / "failed")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """A spool whose folder of rejected films lies on another mount."""
    folder = Path(tempfile.mkdtemp(prefix="mammo-taking-back-", dir="/dev/shm"))
    if folder.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs /dev/shm on another file system than /tmp")
    yield spool_of(tmp_path, folder)
    shutil.rmtree(folder)


def archived(spool: Spool, name: str = "film.dcm") -> Path:
    """Archive film A, into which its sender then writes film B."""
    path = spool.failed / name
    path.write_bytes(A)
    assert spool.rehash(path, NAME).image_id == sha(A)
    path.write_bytes(B)
    return path


@contextmanager
def failing(path: Path, method: str, error: int, after: str = "nothing") -> Iterator[list[Any]]:
    """Have a method of one path fail, before or after it is done; yields what it was given."""
    real, given = getattr(Path, method), list[Any]()

    def fail(self: Path, *args: Any, **how: Any) -> Any:  # noqa: ANN401
        if self != path:
            return real(self, *args, **how)
        given.extend(args)
        if after == "done":
            real(self, *args, **how)
        raise OSError(error, os.strerror(error))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, method, fail)
        yield given


def in_claimed(spool: Spool) -> list[bytes]:
    return sorted(path.read_bytes() for path in spool.claimed.iterdir())


def stranded(spool: Spool) -> list[bytes]:
    assert {name for _, name in spool.stranded} <= {NAME}
    return [path.read_bytes() for path, _ in spool.stranded]


@each_error
def test_a_film_that_changed_is_known_for_changed_until_it_is_taken_back_at_the_third_try(
    near: Spool, error: int
) -> None:
    path = archived(near)
    for _ in range(2):
        assert not near.is_image(path, sha(A))
        assert near.since_hashed(path) is Since.CHANGED
        with failing(path, "rename", error), pytest.raises(Unavailable):
            near.take_back(path, NAME)
    assert not near.is_image(path, sha(A))
    assert in_claimed(near) == []
    near.take_back(path, NAME)
    assert (in_claimed(near), stranded(near)) == ([B], [B])


@each_error
def test_other_bytes_are_archived_under_no_image_s_name_at_any_try(near: Spool, error: int) -> None:
    path = near.claimed / "m-1"
    path.write_bytes(B)
    for _ in range(2):
        with failing(path, "rename", error), pytest.raises(Unavailable):
            near.archive(path, sha(A), NAME, b"{}", scored=False)
    place = near.archive(path, sha(A), NAME, b"{}", scored=False)
    assert not place.exists()
    assert (in_claimed(near), stranded(near)) == ([B], [B])


@each_error
def test_however_often_a_file_cannot_leave_another_mount_there_is_one_copy_at_most(
    spool: Spool, error: int
) -> None:
    path = archived(spool)
    with failing(path, "unlink", error):
        for _ in range(3):
            with pytest.raises(Unavailable):
                spool.take_back(path, NAME)
            assert in_claimed(spool) == ([] if error in moving.REFUSED else [B])
        assert not spool.stranded
    spool.take_back(path, NAME)
    assert (in_claimed(spool), stranded(spool)) == ([B], [B])
    assert not path.exists()


def test_the_copy_of_a_file_that_cannot_leave_and_changes_is_replaced(spool: Spool) -> None:
    path = archived(spool)
    with failing(path, "unlink", EBUSY):
        for data in (B, C, B + C):
            path.write_bytes(data)
            with pytest.raises(Unavailable):
                spool.take_back(path, NAME)
            assert in_claimed(spool) == [data]
    path.write_bytes(C)
    spool.take_back(path, NAME)
    assert (in_claimed(spool), stranded(spool)) == ([C], [C])


def test_a_film_that_is_written_on_while_its_copy_is_hashed_stays_and_is_taken_whole_then(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hashed = archived(spool), files.sha256_and_sync

    def written_on(copy: Path, beat: files.Beat) -> str:
        digest = hashed(copy, beat)
        with path.open("ab") as writer:
            writer.write(C)
        return digest

    with monkeypatch.context() as patch:
        patch.setattr(files, "sha256_and_sync", written_on)
        with pytest.raises(Unavailable):
            spool.take_back(path, NAME)
    assert path.read_bytes() == B + C
    spool.take_back(path, NAME)
    assert in_claimed(spool) == [B + C]


def test_the_copy_of_a_file_that_has_its_image_s_bytes_again_goes(spool: Spool) -> None:
    path = archived(spool)
    with failing(path, "unlink", EBUSY), pytest.raises(Unavailable):
        spool.take_back(path, NAME)
    path.write_bytes(A)
    assert spool.is_image(path, sha(A))
    assert in_claimed(spool) == []


@each_error
@pytest.mark.parametrize("mount", ["another", "same"])
def test_a_file_that_has_gone_although_that_failed_is_stranded_where_it_arrived(
    spool: Spool, near: Spool, error: int, mount: str
) -> None:
    here = spool if mount == "another" else near
    path = archived(here)
    last = "unlink" if mount == "another" else "rename"
    with failing(path, last, error, after="done"), pytest.raises(Unavailable):
        here.take_back(path, NAME)
    assert (in_claimed(here), stranded(here), path.exists()) == ([B], [B], False)
    here.strand_arrived()
    assert len(here.stranded) == 1


@pytest.mark.parametrize(
    ("mount", "which"), [("same", 1), ("another", 1), ("another", 2), ("another", 3)]
)
def test_a_file_whose_folder_is_not_synced_is_at_one_place_that_somebody_knows(
    spool: Spool, near: Spool, monkeypatch: pytest.MonkeyPatch, mount: str, which: int
) -> None:
    here = spool if mount == "another" else near
    path, sync, calls = archived(here), files.sync_folder, [0]

    def failing_once(folder: Path) -> None:
        calls[0] += 1
        if calls[0] == which:
            raise OSError(EMFILE, os.strerror(EMFILE))
        sync(folder)

    monkeypatch.setattr(files, "sync_folder", failing_once)
    with pytest.raises(Unavailable):
        here.take_back(path, NAME)
    if path.exists():
        assert len(in_claimed(here)) <= 1
        here.take_back(path, NAME)
    assert (in_claimed(here), stranded(here)) == ([B], [B])


@pytest.mark.parametrize("mount", ["another", "same"])
def test_a_file_that_a_server_moves_late_and_unheard_is_stranded_then(
    spool: Spool, near: Spool, mount: str
) -> None:
    here = spool if mount == "another" else near
    path, last = archived(here), "unlink" if mount == "another" else "rename"
    with failing(path, last, ETIMEDOUT) as given, pytest.raises(Unavailable):
        here.take_back(path, NAME)
    here.strand_arrived()
    assert not here.stranded
    path.unlink() if mount == "another" else path.rename(given[0])
    here.strand_arrived()
    assert (in_claimed(here), stranded(here)) == ([B], [B])


def test_two_films_at_one_place_one_after_the_other_and_two_of_one_name_are_all_kept(
    spool: Spool,
) -> None:
    (spool.failed / "exam").mkdir()
    for data in (B, C, B):
        path = archived(spool)
        path.write_bytes(data)
        spool.take_back(path, NAME)
    spool.take_back(archived(spool, "exam/film.dcm"), NAME)
    assert in_claimed(spool) == sorted([B, B, B, C])
    assert stranded(spool) == [B, C, B, B]


def test_a_film_written_under_the_same_looks_overwrites_no_copy_of_another(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On file systems that tell times by the second, between two starts."""
    monkeypatch.setattr(files, "looks_of", lambda found: (1, found.st_size, 1, 1))
    path = archived(spool)
    for data in (b"one film", b"two film"):
        path.write_bytes(data)
        fresh = spool_of(tmp_path, spool.failed)
        with failing(path, "unlink", EBUSY), pytest.raises(Unavailable):
            fresh.take_back(path, NAME)
    assert in_claimed(spool) == [b"one film", b"two film"]


@pytest.mark.parametrize("error", [EACCES, EBUSY, None])
def test_a_copy_that_a_start_may_have_recorded_stays_and_is_the_only_one(
    spool: Spool, tmp_path: Path, error: int | None
) -> None:
    path = archived(spool)
    with failing(path, "unlink", EBUSY), pytest.raises(Unavailable):
        spool.take_back(path, NAME)
    (recorded,) = spool.claimed.iterdir()
    again = spool_of(tmp_path, spool.failed)
    if error is None:
        again.take_back(path, NAME)
    else:
        with failing(path, "unlink", error), pytest.raises(Unavailable):
            again.take_back(path, NAME)
    assert [*again.claimed.iterdir()] == [recorded]
    assert [place for place, _ in again.stranded] == ([recorded] if error is None else [])


def test_a_copy_that_a_start_may_have_recorded_is_not_removed_if_its_film_goes_on(
    spool: Spool, tmp_path: Path
) -> None:
    path = archived(spool)
    for data, here in ((B, spool), (B, spool_of(tmp_path, spool.failed))):
        assert path.read_bytes() == data
        with failing(path, "unlink", EBUSY), pytest.raises(Unavailable):
            here.take_back(path, NAME)
        last = here
    path.write_bytes(C)
    last.take_back(path, NAME)
    assert in_claimed(last) == sorted([B, C])


def test_a_file_that_is_gone_is_taken_back_from_nowhere(near: Spool) -> None:
    with pytest.raises(Unavailable, match=os.strerror(ENOENT)):
        near.take_back(near.failed / "film.dcm", NAME)
    near.strand_arrived()
    assert (in_claimed(near), stranded(near)) == ([], [])


@pytest.mark.parametrize(("error", "believed"), [(EMFILE, False), (EIO, True), (EACCES, True)])
def test_only_a_file_that_alone_cannot_be_read_is_believed(
    near: Spool, monkeypatch: pytest.MonkeyPatch, error: int, *, believed: bool
) -> None:
    path = archived(near)

    def fail(*_: Any, **__: Any) -> None:  # noqa: ANN401
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(files, "open_regular", fail)
    if believed:
        assert near.is_image(path, sha(A))
    else:
        with pytest.raises(Unavailable):
            near.is_image(path, sha(A))


@pytest.mark.parametrize("error", [*ERRORS, ENOENT], ids=lambda error: errorcode[error])
def test_a_film_that_a_server_moves_out_of_the_inbox_and_does_not_say_so_is_taken(
    near: Spool, tmp_path: Path, error: int
) -> None:
    path = tmp_path / "inbox" / "film.dcm"
    path.parent.mkdir()
    path.write_bytes(A)
    given: list[Path] = []
    rename = Path.rename

    def unheard(self: Path, target: Path) -> Path:
        moved = rename(self, target)
        if target.parent == near.claimed:
            given.append(target)
            raise OSError(error, os.strerror(error))
        return moved

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "rename", unheard)
        with near.claiming(path, may_copy=True) as claim:
            assert ([claim.path], claim.image_id) == (given, sha(A))
    assert in_claimed(near) == [A]


@pytest.mark.usefixtures("another_mount")
def test_requests_and_copies_that_are_not_synced_leave_nothing(
    near: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Path) -> None:
        raise OSError(EMFILE, os.strerror(EMFILE))

    path = tmp_path / "inbox" / "film.dcm"
    path.parent.mkdir()
    path.write_bytes(A)
    monkeypatch.setattr(files, "sync_folder", fail)
    for _ in range(3):
        with pytest.raises(Unavailable), near.receiving(A):
            pytest.fail("it was taken")
        with pytest.raises(Unavailable), near.claiming(path, may_copy=True):
            pytest.fail("it was taken")
    assert in_claimed(near) == []
    assert path.read_bytes() == A


def killed_at(line: int, do: Callable[[], None]) -> bool:
    """Run something in a process that is killed at a line of ours; False if it ends before."""
    left = [line]

    def trace(frame: FrameType, event: str, _: object) -> Any:  # noqa: ANN401
        if "/edge/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    pid = os.fork()
    if pid == 0:
        files._DISK = ThreadPoolExecutor(2)  # type: ignore[misc]
        sys.settrace(trace)
        do()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("mount", ["another", "same"])
def test_a_kill_at_any_line_leaves_the_film_whole_and_at_one_place_that_counts_after_a_start(
    spool: Spool, near: Spool, tmp_path: Path, mount: str
) -> None:
    here = spool if mount == "another" else near
    for line in range(1, 1000):
        path = archived(here)
        killed = killed_at(line, lambda path=path: here.take_back(path, NAME))  # type: ignore[misc]
        again = spool_of(tmp_path, here.failed)
        left = [place.read_bytes() for place in again.orphans()]
        assert [B] in (left, [place.read_bytes() for place in here.failed.iterdir()])
        assert len(left) <= 1
        if path.exists():
            again.take_back(path, NAME)
        assert in_claimed(again) == [B]
        for place in again.orphans():
            place.unlink()
        if not killed:
            assert line > 20
            return
    pytest.fail("it never ended")


@pytest.mark.parametrize("error", [EIO, ESTALE, ETIMEDOUT], ids=lambda error: errorcode[error])
def test_a_copy_that_cannot_be_looked_for_when_its_film_has_gone_stays_and_is_stranded_later(
    spool: Spool, error: int
) -> None:
    path = archived(spool)
    with failing(path, "unlink", ETIMEDOUT), pytest.raises(Unavailable):
        spool.take_back(path, NAME)
    path.unlink()
    (copy,) = spool.claimed.iterdir()
    lstat = os.lstat

    def fail(of: Any, *args: Any, **how: Any) -> os.stat_result:  # noqa: ANN401
        if Path(of) == copy:
            raise OSError(error, os.strerror(error))
        return lstat(of, *args, **how)

    with pytest.MonkeyPatch.context() as patched, failing(copy, "lstat", error):
        patched.setattr(os, "lstat", fail)
        spool.strand_arrived()
    assert (in_claimed(spool), stranded(spool)) == ([B], [])
    spool.strand_arrived()
    assert (in_claimed(spool), stranded(spool)) == ([B], [B])


def test_what_arrived_late_is_not_forgotten_while_the_spool_is_away(
    near: Spool, tmp_path: Path
) -> None:
    path = archived(near)
    with failing(path, "rename", ETIMEDOUT) as given, pytest.raises(Unavailable):
        near.take_back(path, NAME)
    path.rename(given[0])
    (tmp_path / "spool").rename(tmp_path / "away")
    near.strand_arrived()
    (tmp_path / "away").rename(tmp_path / "spool")
    near.strand_arrived()
    assert (in_claimed(near), stranded(near)) == ([B], [B])


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_copy_is_kept_if_its_film_went_late_and_the_image_is_archived_there_again(
    spool: Spool, *, goes_on: bool
) -> None:
    path = archived(spool, names.archive_name(NAME, sha(A)))
    with failing(path, "unlink", ETIMEDOUT), pytest.raises(Unavailable):
        spool.take_back(path, NAME)
    path.unlink()
    again = spool.claimed / "m-1"
    again.write_bytes(A)
    assert spool.archive(again, sha(A), NAME, b"{}", scored=False) == path
    assert spool.is_image(path, sha(A))
    if goes_on:
        path.write_bytes(C)
        spool.take_back(path, NAME)
    assert stranded(spool) == ([B, C] if goes_on else [B])
    assert in_claimed(spool) == sorted(stranded(spool))


def test_a_film_taken_back_under_the_same_looks_overwrites_no_other_that_is_still_there(
    near: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On file systems that tell times by the second and number files as they are met."""
    monkeypatch.setattr(files, "looks_of", lambda found: (1, found.st_size, 1, 1))
    for data in (b"one film", b"two film"):
        path = archived(near)
        path.write_bytes(data)
        near.take_back(path, NAME)
    assert in_claimed(near) == [b"one film", b"two film"]
    assert stranded(near) == [b"one film", b"two film"]


@pytest.mark.parametrize("error", [EACCES, EPERM, EIO], ids=lambda error: errorcode[error])
def test_a_film_of_which_the_system_made_a_copy_and_kept_the_original_was_not_taken(
    near: Spool, tmp_path: Path, error: int
) -> None:
    """As storages do that know no renaming, and whose rights forbid to remove."""
    path = tmp_path / "inbox" / "film.dcm"
    path.parent.mkdir()
    path.write_bytes(A)
    rename = Path.rename

    def copied(self: Path, target: Path) -> Path:
        if target.parent != near.claimed:
            return rename(self, target)
        target.write_bytes(self.read_bytes())
        raise OSError(error, os.strerror(error))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "rename", copied)
        with pytest.raises(Unavailable), near.claiming(path, may_copy=True):
            pytest.fail("it was taken, and would be at each look")
    assert path.read_bytes() == A


@pytest.mark.parametrize("mount", ["another", "same"])
@pytest.mark.parametrize("known", [True, False])
def test_a_film_in_the_place_where_another_image_is_archived_is_taken_back_not_overwritten(
    spool: Spool, near: Spool, mount: str, *, known: bool
) -> None:
    """As its archive was away for a moment when the image came again."""
    here = spool if mount == "another" else near
    path = archived(here, names.archive_name(NAME, sha(A)))
    if not known:
        here._looks = known_looks.KnownLooks()
    again = here.claimed / "m-1"
    again.write_bytes(A)
    assert here.archive(again, sha(A), NAME, b"{}", scored=False) == path
    assert path.read_bytes() == A
    assert (in_claimed(here), stranded(here)) == ([B], [B])
