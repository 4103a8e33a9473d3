"""A file is in exactly one place, and what is said to be there is on the disk."""

import errno
import hashlib
import json
import os
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import FileTooLargeError, StartupError, Unavailable
from edge.storage.claim import Claim
from edge.storage.names import RENAMED, archive_name
from edge.storage.spool import Spool
from edge.system import files
from edge.system.files import Beat, NotReadyError
from edge.system.own_copy import own_copy

DATA = b"a mammogram, as far as the spool is concerned"
IMAGE_ID = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    (tmp_path / "inbox").mkdir()
    return Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")


def claimed(spool: Spool, path: Path, *, may_copy: bool = True) -> Claim:
    """A file whose claim the ledger has recorded."""
    with spool.claiming(path, may_copy=may_copy) as claim:
        return claim


def inbox_file(tmp_path: Path, name: str = "film.dcm", data: bytes = DATA) -> Path:
    path = tmp_path / "inbox" / name
    path.write_bytes(data)
    return path


def test_a_claimed_file_is_in_the_spool_and_nowhere_else(spool: Spool, tmp_path: Path) -> None:
    path = inbox_file(tmp_path)
    claim = claimed(spool, path)
    assert (claim.image_id, claim.name, claim.origin) == (IMAGE_ID, b"film.dcm", None)
    assert claim.path.read_bytes() == DATA
    assert claim.path.name.startswith(RENAMED)
    assert not path.exists()


@pytest.mark.usefixtures("another_mount")
def test_a_file_on_another_mount_is_copied_and_its_origin_remembered(
    spool: Spool, tmp_path: Path
) -> None:
    path = inbox_file(tmp_path)
    claim = claimed(spool, path)
    assert claim.image_id == IMAGE_ID
    assert claim.origin is not None
    assert path.exists()
    assert spool.remove_origin(*claim.origin)
    assert not path.exists()
    assert [found.name for found in spool.claimed.iterdir()] == [claim.path.name]


@pytest.mark.usefixtures("another_mount")
def test_the_origin_of_a_copy_out_of_a_folder_of_the_inbox_is_its_place_there(
    spool: Spool, tmp_path: Path
) -> None:
    path = tmp_path / "top" / "inbox" / "film.dcm"
    path.parent.mkdir(parents=True)
    path.write_bytes(DATA)
    with spool.claiming(path, may_copy=True, below=tmp_path / "top") as claim:
        assert claim.origin == (path, files.fingerprint(path))


@pytest.mark.usefixtures("another_mount")
def test_a_file_for_which_there_is_no_room_is_not_begun_to_be_copied(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = inbox_file(tmp_path)
    monkeypatch.setattr(files, "free_bytes", lambda _: len(DATA) - 1)
    monkeypatch.setattr(files, "copy", lambda *_: pytest.fail("it was copied"))
    with pytest.raises(Unavailable, match="no room"):
        claimed(spool, path)
    assert path.exists()


@pytest.mark.usefixtures("another_mount")
def test_a_file_that_may_not_be_copied_yet_stays(spool: Spool, tmp_path: Path) -> None:
    path = inbox_file(tmp_path)
    with pytest.raises(NotReadyError):
        claimed(spool, path, may_copy=False)
    assert path.exists()
    assert list(spool.claimed.iterdir()) == []


@pytest.mark.usefixtures("another_mount")
def test_an_origin_that_was_replaced_meanwhile_is_left_alone(spool: Spool, tmp_path: Path) -> None:
    path = inbox_file(tmp_path)
    claim = claimed(spool, path)
    path.write_bytes(b"the next film under the same name")
    assert claim.origin is not None
    assert spool.remove_origin(*claim.origin)
    assert path.exists()


def test_a_file_that_changes_while_it_is_hashed_is_handed_back(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = inbox_file(tmp_path)

    def hash_while_it_grows(claimed: Path, _beat: object) -> str:
        with claimed.open("ab") as writer:
            writer.write(b"more")
        return "0" * 64

    monkeypatch.setattr("edge.system.files.sha256_and_sync", hash_while_it_grows)
    with pytest.raises(NotReadyError):
        claimed(spool, path)
    assert path.read_bytes() == DATA + b"more"


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder", "nothing"])
def test_only_regular_files_are_claimed(spool: Spool, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "inbox" / "film.dcm"
    match kind:
        case "symlink":
            path.symlink_to("/etc/passwd")
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            pass
    with pytest.raises(NotReadyError):
        claimed(spool, path)
    assert list(spool.claimed.iterdir()) == []


@pytest.mark.parametrize("mount", ["same", "another"])
def test_a_claim_that_is_not_recorded_leaves_the_file_in_the_inbox_and_nowhere_else(
    spool: Spool, tmp_path: Path, request: pytest.FixtureRequest, mount: str
) -> None:
    if mount == "another":
        request.getfixturevalue("another_mount")
    path = inbox_file(tmp_path)
    with pytest.raises(Unavailable), spool.claiming(path, may_copy=True):
        raise Unavailable
    assert path.read_bytes() == DATA
    assert list(spool.claimed.iterdir()) == []


def test_a_claim_that_is_not_recorded_overwrites_no_file_that_came_meanwhile(
    spool: Spool, tmp_path: Path
) -> None:
    path = inbox_file(tmp_path)

    def fail() -> None:
        inbox_file(tmp_path, data=b"the next one")
        raise Unavailable

    with pytest.raises(Unavailable), spool.claiming(path, may_copy=True):
        fail()
    assert sorted(file.read_bytes() for file in path.parent.iterdir()) == [DATA, b"the next one"]


def test_a_request_that_is_not_recorded_is_left_to_the_broker(spool: Spool) -> None:
    with pytest.raises(Unavailable), spool.receiving(DATA):
        raise Unavailable
    assert list(spool.claimed.iterdir()) == []


def test_an_archived_file_lies_beside_its_result(spool: Spool, tmp_path: Path) -> None:
    claim = claimed(spool, inbox_file(tmp_path))
    path = spool.archive(claim.path, IMAGE_ID, claim.name, b'{"outcome":"benign"}', scored=True)
    assert path == tmp_path / "done" / f"film.{IMAGE_ID[:16]}.dcm"
    assert path.read_bytes() == DATA
    assert json.loads(path.with_name(path.name + ".json").read_text()) == {"outcome": "benign"}
    assert not claim.path.exists()


def test_archiving_again_after_a_kill_changes_nothing(spool: Spool, tmp_path: Path) -> None:
    claim = claimed(spool, inbox_file(tmp_path))
    first = spool.archive(claim.path, IMAGE_ID, claim.name, b"{}", scored=True)
    assert spool.archive(claim.path, IMAGE_ID, claim.name, b"{}", scored=True) == first
    assert first.read_bytes() == DATA


def test_a_rejected_file_that_is_scored_at_a_retry_moves_to_done_with_its_result(
    spool: Spool, tmp_path: Path
) -> None:
    claim = claimed(spool, inbox_file(tmp_path))
    failed = spool.archive(claim.path, IMAGE_ID, claim.name, b"{}", scored=False)
    done = spool.archive(failed, IMAGE_ID, claim.name, b'{"outcome":"benign"}', scored=True)
    assert done.parent.name == "done"
    assert list((tmp_path / "failed").iterdir()) == []


def test_a_full_disk_keeps_the_file_where_it_is(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claimed(spool, inbox_file(tmp_path))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        spool.archive(claim.path, IMAGE_ID, claim.name, b"{}", scored=True)
    with pytest.raises(Unavailable, match="No space left on device"), spool.receiving(DATA):
        pass
    assert claim.path.read_bytes() == DATA
    assert [path.name for path in spool.claimed.iterdir()] == [claim.path.name]


def test_half_written_files_are_removed_from_the_archive_at_start(
    spool: Spool, tmp_path: Path
) -> None:
    (spool.done / ".1234.part").write_bytes(b"half")
    Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    assert list(spool.done.iterdir()) == []


def test_half_written_copies_are_removed_at_start(spool: Spool, tmp_path: Path) -> None:
    (spool.claimed / ".f-1.part").write_bytes(b"half")
    (spool.claimed / "f-2").write_bytes(b"whole")
    again = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    assert [path.name for path in again.orphans()] == ["f-2"]
    assert list(again.claimed.iterdir()) == [spool.claimed / "f-2"]


def test_a_claimed_file_whose_sender_called_it_part_is_not_taken_for_a_half_written_copy(
    spool: Spool, tmp_path: Path
) -> None:
    claim = claimed(spool, inbox_file(tmp_path, "film.png.part"))
    again = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    assert list(again.orphans()) == [claim.path]
    assert again.rehash(claim.path).name == b"film.png.part"


def test_a_folder_that_cannot_be_written_is_named_by_its_key(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match=r"spool\.done: .*Not a directory"):
        Spool(tmp_path / "spool", tmp_path / "file" / "done", tmp_path / "failed")


@pytest.mark.parametrize(
    ("name", "archived"),
    [(b"a.dcm.part", "a.ID.dcm"), (b".hidden.png", "hidden.ID.png"), (b"...", "image.ID")],
)
def test_an_archived_file_is_neither_hidden_nor_a_part(name: bytes, archived: str) -> None:
    assert archive_name(name, IMAGE_ID) == archived.replace("ID", IMAGE_ID[:16])


@given(
    st.binary(min_size=1, max_size=255).filter(
        lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."}
    )
)
def test_any_file_name_makes_an_archive_name_that_a_file_system_takes(name: bytes) -> None:
    made = os.fsencode(archive_name(name, IMAGE_ID) + ".json")
    assert len(made) <= 255
    assert b"/" not in made
    assert IMAGE_ID[:16].encode() in made


def test_a_folder_that_is_a_link_by_now_leads_to_no_file(spool: Spool, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "film.dcm").write_bytes(DATA)
    (tmp_path / "inbox" / "exam").symlink_to(outside)
    path = tmp_path / "inbox" / "exam" / "film.dcm"
    with (
        pytest.raises(NotReadyError),
        spool.claiming(path, may_copy=True, below=tmp_path / "inbox"),
    ):
        pytest.fail("it was taken")
    assert (outside / "film.dcm").exists()


def test_a_file_goes_back_to_its_folder_wherever_that_is_and_through_no_link(
    spool: Spool, tmp_path: Path
) -> None:
    outside, exam = tmp_path / "outside", tmp_path / "inbox" / "exam"
    outside.mkdir()
    exam.mkdir()
    (exam / "film.dcm").write_bytes(DATA)

    def swap() -> None:
        exam.rename(exam.with_name("moved"))
        exam.symlink_to(outside)
        raise Unavailable

    with (
        pytest.raises(Unavailable),
        spool.claiming(exam / "film.dcm", may_copy=True, below=tmp_path / "inbox"),
    ):
        swap()
    assert list(outside.iterdir()) == []
    assert (tmp_path / "inbox" / "moved" / "film.dcm").read_bytes() == DATA


@pytest.mark.parametrize(
    "name", ["n" * 200, "." + "n" * 199, "n" + ".n" * 100, "ü" * 127, "n" * 255]
)
def test_a_long_name_that_is_taken_by_now_is_given_another_that_is_looked_at(
    spool: Spool, tmp_path: Path, name: str
) -> None:
    path = inbox_file(tmp_path, name)

    def fail() -> None:
        inbox_file(tmp_path, name, b"the next one")
        raise Unavailable

    with pytest.raises(Unavailable), spool.claiming(path, may_copy=True):
        fail()
    assert sorted(file.read_bytes() for file in path.parent.iterdir()) == [DATA, b"the next one"]
    assert not any(found.name.startswith(".") for found in path.parent.iterdir() if found != path)


def test_a_file_that_goes_back_replaces_no_link_that_leads_nowhere(
    spool: Spool, tmp_path: Path
) -> None:
    path = inbox_file(tmp_path)

    def fail() -> None:
        path.symlink_to("nowhere")
        raise Unavailable

    with pytest.raises(Unavailable), spool.claiming(path, may_copy=True):
        fail()
    assert path.is_symlink()
    assert [file.read_bytes() for file in path.parent.iterdir() if file != path] == [DATA]


def grow_without_end(path: Path) -> Beat:
    """Have a file grow with each chunk of it that is read."""
    chunks = count(1)

    def grow() -> None:
        assert next(chunks) < 100, "it was read without end"
        with path.open("ab") as writer:
            writer.truncate(path.stat().st_size + 2**20)

    return grow


def test_a_file_that_grows_without_end_goes_back_to_the_inbox(spool: Spool, tmp_path: Path) -> None:
    path = inbox_file(tmp_path, data=bytes(2**20))
    spool.most_mb = 8

    def begin(claimed: Path) -> None:
        spool._beat = grow_without_end(claimed)

    with (
        pytest.raises(FileTooLargeError),
        spool.claiming(path, may_copy=True, moved=begin),
    ):
        pytest.fail("it was hashed")
    assert path.exists()


def test_a_claimed_file_that_grows_without_end_has_other_bytes_by_now(
    spool: Spool, tmp_path: Path
) -> None:
    claim = claimed(spool, inbox_file(tmp_path))
    with claim.path.open("ab") as writer:
        writer.truncate(2**20)
    spool.most_mb, spool._beat = 8, grow_without_end(claim.path)
    assert not spool.is_image(claim.path, IMAGE_ID)
    with pytest.raises(FileTooLargeError):
        spool.rehash(claim.path)


@pytest.mark.usefixtures("another_mount")
def test_a_file_that_grows_without_end_while_it_is_copied_stays_and_fills_no_disk(
    spool: Spool, tmp_path: Path
) -> None:
    path = inbox_file(tmp_path, data=bytes(2**20))
    spool._beat = grow_without_end(path)
    with pytest.raises(NotReadyError):
        claimed(spool, path)
    assert path.stat().st_size == 2**21
    assert list(spool.claimed.iterdir()) == []


def test_a_film_that_grows_on_its_way_to_an_archive_on_another_mount_is_taken_back(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename, claim = Path.rename, claimed(spool, inbox_file(tmp_path))
    beats: list[Beat] = [lambda: None]

    def refuse(self: Path, target: Path) -> Path:
        if self.parent == spool.claimed and target.parent == spool.done:
            beats.append(grow_without_end(claim.path))
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, target)

    def beat() -> None:
        beats[-1]()

    monkeypatch.setattr(Path, "rename", refuse)
    spool._beat = beat
    with pytest.raises(Unavailable, match="is being written"):
        spool.archive(claim.path, IMAGE_ID, b"film.dcm", b"{}", scored=True)
    assert list(spool.done.iterdir()) == []
    beats.append(lambda: None)
    spool.archive(claim.path, IMAGE_ID, b"film.dcm", b"{}", scored=True)
    assert list(spool.done.iterdir()) == []
    assert [name for _, name in spool.stranded] == [b"film.dcm"]


def test_a_file_that_grows_without_end_where_it_stays_is_too_large(
    spool: Spool, tmp_path: Path
) -> None:
    path = inbox_file(tmp_path, data=bytes(2**20))
    spool.most_mb, spool._beat = 8, grow_without_end(path)
    with pytest.raises(FileTooLargeError):
        spool.hash_in_place(path)


def test_an_original_that_grows_is_read_no_further(spool: Spool, tmp_path: Path) -> None:
    path = inbox_file(tmp_path, data=bytes(2**20))
    spool._beat = grow_without_end(path)
    assert not spool.is_original(path, hashlib.sha256(bytes(2**20)).hexdigest())
    assert path.stat().st_size == 2**21


def test_a_claimed_file_that_grows_without_end_is_shut_to_nobody(
    spool: Spool, tmp_path: Path
) -> None:
    claim = claimed(spool, inbox_file(tmp_path))
    spool._beat = grow_without_end(claim.path)
    assert not spool.is_shut_alone(claim.path)


def test_a_copy_of_a_file_that_grows_without_end_ends_and_is_none_of_the_image(
    spool: Spool, tmp_path: Path
) -> None:
    path, data = inbox_file(tmp_path, data=bytes(2**21)), bytes(2**21)
    target, grow = tmp_path / "done" / "film.dcm", grow_without_end(path)
    assert not own_copy(path, target, hashlib.sha256(data).hexdigest(), grow)
    assert list(spool.done.iterdir()) == []


def test_a_request_for_which_there_is_no_room_is_not_begun_to_be_written(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda _: len(DATA) - 1)
    monkeypatch.setattr(files, "write", lambda *_: pytest.fail("it was written"))
    with pytest.raises(Unavailable, match="no room"), spool.receiving(DATA):
        pytest.fail("it was taken")


@pytest.mark.parametrize("restarted", [False, True])
def test_a_file_of_the_archive_is_not_gone_while_another_folder_lies_at_its_place(
    tmp_path: Path, *, restarted: bool
) -> None:
    """As one does under a mount that is away, which a start may have made."""
    state = tmp_path / "state"
    state.mkdir()
    folders = (tmp_path / "spool", tmp_path / "done", tmp_path / "failed")
    spool = Spool(*folders, state=state)
    path = spool.failed / "film.dcm"
    path.write_bytes(DATA)
    away = spool.failed.rename(tmp_path / "away")
    if restarted:
        spool = Spool(*folders, state=state)
    else:
        spool.failed.mkdir()
    with pytest.raises(Unavailable, match="is not the folder that it was: mount it"):
        spool.locate(path, IMAGE_ID, b"film.dcm")
    assert spool.locate(spool.claimed / "f-1", IMAGE_ID, b"film.dcm") is None
    spool.failed.rmdir()
    away.rename(spool.failed)
    assert spool.locate(path, IMAGE_ID, b"film.dcm") == path
    path.unlink()
    assert spool.locate(path, IMAGE_ID, b"film.dcm") is None


def test_a_file_that_moved_to_the_other_folder_before_a_kill_is_there_wherever_the_first_one_is(
    tmp_path: Path, spool: Spool
) -> None:
    claim = claimed(spool, inbox_file(tmp_path))
    before = spool.archive(claim.path, IMAGE_ID, claim.name, b"{}", scored=False)
    done = spool.archive(before, IMAGE_ID, claim.name, b"{}", scored=True)
    spool.failed.rename(tmp_path / "away")
    assert spool.archive(before, IMAGE_ID, claim.name, b"{}", scored=True) == done


def test_a_file_of_an_archive_of_an_earlier_configuration_is_not_gone_with_its_folder(
    tmp_path: Path, spool: Spool
) -> None:
    path = tmp_path / "earlier" / "film.dcm"
    with pytest.raises(Unavailable, match="is not there: mount it, or make it"):
        spool.locate(path, IMAGE_ID, b"film.dcm")
    path.parent.mkdir()
    assert spool.locate(path, IMAGE_ID, b"film.dcm") is None
