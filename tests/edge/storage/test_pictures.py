"""Pictures live no longer than their images, and a kill leaves none half written."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from errno import EIO
from pathlib import Path

import pytest

from edge.storage import pictures
from edge.storage.pictures import FOLDER, PICTURE, SMALL, AllRefusedError, Pictures, changed, find
from edge.system import files

MADE = {SMALL: b"small", PICTURE: b"large"}


def always() -> bool:
    return True


def name(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def left(state: Path) -> list[str]:
    """Name the files below the folder of pictures."""
    return sorted(name for _, _, names in os.walk(state / FOLDER) for name in names)


@pytest.fixture
def kept(tmp_path: Path) -> Pictures:
    """Three images, drawn one after the other."""
    made = Pictures(tmp_path)
    for number in range(3):
        assert made.keep(name(number), f"r{number}", MADE, always)
        os.utime(tmp_path / FOLDER / name(number), (1000 + number, 1000 + number))
    return made


def test_a_picture_is_found_by_image_and_result_and_a_newer_one_takes_its_place(
    kept: Pictures, tmp_path: Path
) -> None:
    before = changed(tmp_path)
    found = find(tmp_path, name(1), "r1", SMALL)
    assert found is not None
    assert found.read_bytes() == b"small"
    kept.keep(name(1), "later", MADE, always)
    assert changed(tmp_path) > before
    assert find(tmp_path, name(1), "r1") is None
    assert find(tmp_path, name(1), "later") is not None
    assert len(left(tmp_path)) == 6


def test_one_of_an_image_that_is_gone_is_not_written(kept: Pictures, tmp_path: Path) -> None:
    assert not kept.keep(name(7), "r7", MADE, lambda: False)
    assert not (tmp_path / FOLDER / name(7)).exists()


def test_a_disk_that_fails_leaves_nothing_of_it(
    kept: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pictures, "sync_folder", full)
    monkeypatch.setattr(
        kept, "remove", lambda one: shutil.rmtree(tmp_path / FOLDER / one, ignore_errors=True)
    )
    with pytest.raises(OSError, match="No space"):
        kept.keep(name(7), "r7", MADE, always)
    assert not (tmp_path / FOLDER / name(7)).exists()


@pytest.mark.parametrize(
    "half",
    [
        lambda _: None,
        lambda folder: (folder / f".1{files.PART}").write_bytes(b"sm"),
        lambda folder: (folder / f"r7{SMALL}").write_bytes(b"small"),
        lambda folder: [
            (folder / f"r7{SMALL}").write_bytes(b"small"),
            (folder / f".2{files.PART}").write_bytes(b"lar"),
        ],
    ],
)
def test_what_a_kill_left_half_written_goes_at_the_next_start(
    kept: Pictures, tmp_path: Path, half: Callable[[Path], object]
) -> None:
    folder = tmp_path / FOLDER / name(7)
    folder.mkdir()
    half(folder)
    kept.sweep({name(number) for number in (0, 1, 2, 7)})
    assert not folder.exists()
    assert len(left(tmp_path)) == 6


def test_a_start_keeps_pictures_of_kept_images_alone(kept: Pictures, tmp_path: Path) -> None:
    kept.sweep({name(1)})
    assert left(tmp_path) == [f"r1{PICTURE}", f"r1{SMALL}"]
    kept.sweep(())
    assert left(tmp_path) == []
    Pictures(tmp_path / "new").sweep(())


def test_what_is_no_picture_counts_for_no_room(kept: Pictures, tmp_path: Path) -> None:
    (tmp_path / FOLDER / ".directory").touch()
    os.utime(tmp_path / FOLDER / ".directory", (0, 0))
    assert kept.remove_oldest(4) == 3
    assert kept.remove_oldest(4) == 0


def test_those_drawn_first_make_room(kept: Pictures, tmp_path: Path) -> None:
    assert kept.remove_oldest(2) == 2
    assert left(tmp_path) == [f"r2{PICTURE}", f"r2{SMALL}"]
    assert (kept.remove_oldest(2), kept.remove_oldest(2)) == (1, 0)


@pytest.fixture
def refuses(monkeypatch: pytest.MonkeyPatch) -> str:
    """The oldest pictures, which the disk does not let go."""
    rmtree = shutil.rmtree

    def refuse(folder: Path) -> None:
        if folder.name == name(0):
            raise PermissionError(1, "Operation not permitted")
        rmtree(folder)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    return name(0)


@pytest.mark.usefixtures("refuses")
def test_a_picture_that_cannot_be_removed_keeps_none_of_the_others_where_room_is_made(
    kept: Pictures, tmp_path: Path
) -> None:
    assert kept.remove_oldest(1) == 1
    assert left(tmp_path) == [f"r{number}{end}" for number in (0, 2) for end in (PICTURE, SMALL)]
    assert kept.remove_oldest(2) == 1
    with pytest.raises(OSError, match="not permitted"):
        kept.remove_oldest(2)


def test_what_cannot_be_looked_at_among_pictures_keeps_none_of_them_and_is_told(
    kept: Pictures, tmp_path: Path
) -> None:
    """As on a disk with one bad inode."""
    (tmp_path / FOLDER / "bad").symlink_to("x" * 300)  # its target is no name: ENAMETOOLONG
    assert kept.remove_oldest(1) == 1
    assert left(tmp_path)[1:] == [f"r{one}{end}" for one in (1, 2) for end in (PICTURE, SMALL)]
    with pytest.raises(OSError, match="name too long"):
        kept.sweep({name(1)})
    assert left(tmp_path) == ["bad", f"r1{PICTURE}", f"r1{SMALL}"]
    assert kept.remove_oldest(2) == 1
    with pytest.raises(AllRefusedError, match="name too long"):
        kept.remove_oldest(2)


def test_a_start_removes_all_that_is_half_written_beside_pictures_that_cannot_be_read(
    kept: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those go as well, to be drawn anew."""
    iterdir = Path.iterdir

    def fail(folder: Path) -> Iterator[Path]:
        if folder.name == name(0):
            raise OSError(EIO, os.strerror(EIO))
        return iterdir(folder)

    (tmp_path / FOLDER / name(1) / f"r1{SMALL}").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(Path, "iterdir", fail)
        kept.sweep({name(number) for number in range(3)})
    assert left(tmp_path) == [f"r2{PICTURE}", f"r2{SMALL}"]


@pytest.mark.usefixtures("refuses")
def test_a_start_removes_all_others_beside_a_picture_that_cannot_be_removed(
    kept: Pictures, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="not permitted"):
        kept.sweep(())
    assert left(tmp_path) == [f"r0{PICTURE}", f"r0{SMALL}"]
