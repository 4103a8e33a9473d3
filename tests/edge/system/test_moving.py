"""A file that moves between two mounts is at one place, or at two while nobody can tell."""

import errno
import os
from pathlib import Path

import pytest

from edge.system.moving import move


@pytest.mark.parametrize("error", [errno.ETIMEDOUT, errno.EIO, errno.ECONNRESET, errno.ENOENT])
@pytest.mark.usefixtures("another_mount")
def test_a_copy_stays_if_the_file_may_have_gone_although_its_removal_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """A server whose answer is lost may have removed a file that is still seen."""
    path, target, unlink = tmp_path / "inbox" / "film", tmp_path / "film", Path.unlink
    path.parent.mkdir()
    path.write_bytes(b"a film")

    def fail(self: Path, *, missing_ok: bool = False) -> None:
        if error == errno.ENOENT or self != path:
            unlink(self, missing_ok=missing_ok)
        if self == path:
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(OSError, match=os.strerror(error)):
        move(path, target, lambda: None)
    assert target.read_bytes() == b"a film"


def test_a_file_that_has_both_names_after_a_power_cut_has_the_new_one_alone(tmp_path: Path) -> None:
    path, target, other = (tmp_path / name for name in ("spool/1", "film", "of its sender"))
    path.parent.mkdir()
    path.write_bytes(b"film")
    other.hardlink_to(path)
    target.hardlink_to(path)
    assert move(path, target, lambda: None) == target
    assert sorted(tmp_path.rglob("*")) == [target, other, path.parent]
    assert move(target, target, lambda: None).read_bytes() == b"film"
