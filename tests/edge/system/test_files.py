"""A file is there whole or not at all, whatever ends its writing."""

import os
import stat
from pathlib import Path

import pytest

from edge.system.files import remove_parts, whole, write


def write_half(path: Path, error: BaseException) -> None:
    with whole(path) as file:
        file.write(b"half of the new")
        raise error


@pytest.mark.parametrize("error", [OSError("full"), ValueError("a defect"), KeyboardInterrupt()])
def test_a_write_that_ends_early_leaves_the_old_file_and_no_part(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"the old one")
    with pytest.raises(type(error)):
        write_half(path, error)
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_takes_the_old_ones_place_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"the old one")
    with whole(path) as file:
        file.write(b"the new one")
        assert path.read_bytes() == b"the old one"
    assert path.read_bytes() == b"the new one"


def test_a_secret_is_never_readable_by_others_not_even_while_it_is_written(tmp_path: Path) -> None:
    with whole(tmp_path / "password", 0o600) as file:
        assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600


def test_a_target_that_is_a_link_is_replaced_and_what_it_names_left_alone(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"not ours")
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere")
    write(tmp_path / "file", b"ours")
    assert (tmp_path / "elsewhere").read_bytes() == b"not ours"
    assert (tmp_path / "file").read_bytes() == b"ours"


def test_parts_that_a_kill_left_go_and_nothing_else(tmp_path: Path) -> None:
    for name in (".1.part", "sent.part", ".hidden"):
        (tmp_path / name).touch()
    remove_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "sent.part"]
