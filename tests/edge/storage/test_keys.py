"""A key of a pseudonym is made once, and never replaced without a word."""

import stat
from pathlib import Path

import pytest

from edge.errors import Unavailable
from edge.storage.keys import KEY_BYTES, own_key


def test_a_key_is_made_once_and_for_the_daemon_alone(tmp_path: Path) -> None:
    file = tmp_path / "own.key"
    key = own_key(file)
    assert (len(key), stat.S_IMODE(file.stat().st_mode)) == (KEY_BYTES, 0o600)
    assert own_key(file) == key


def test_a_file_that_is_no_key_is_set_aside_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "own.key"
    file.write_bytes(b"half")
    key = own_key(file)
    assert (len(key), own_key(file)) == (KEY_BYTES, key)
    assert (tmp_path / "own.damaged").read_bytes() == b"half"
    assert "event=key_damaged file=own.key found=4 expected=32" in caplog.text


def test_a_key_that_cannot_be_read_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "own.key"
    file.mkdir()
    with pytest.raises(Unavailable, match="Is a directory"):
        own_key(file)
    assert file.is_dir()
