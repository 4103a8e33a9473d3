"""Token and password of the page: only hashes are kept, for the service's user alone."""

from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.page import access


def test_a_token_is_kept_as_a_hash_that_only_its_owner_reads(tmp_path: Path) -> None:
    token = access.make_token(tmp_path)
    file = tmp_path / "page.token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert token not in file.read_text()
    kept = access.read(tmp_path, "token")
    assert kept is not None
    assert kept.startswith("scrypt$16384$8$1$")
    assert [access.matches(kept, typed) for typed in (token, token[:-1], "")] == [
        True,
        False,
        False,
    ]


def test_two_devices_with_one_password_have_two_hashes(tmp_path: Path) -> None:
    kept = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        access.set_password(tmp_path / name, "a long pässword")
        kept.append(access.read(tmp_path / name, "password") or "")
    assert kept[0] != kept[1]
    assert all(access.matches(one, "a long pässword") for one in kept)


@pytest.mark.parametrize("password", ["", "elevenchars", "x" * 1025])
def test_a_short_password_and_one_without_end_are_refused(tmp_path: Path, password: str) -> None:
    with pytest.raises(ConfigError, match="expected 12 to 1024"):
        access.set_password(tmp_path, password)
    assert access.read(tmp_path, "password") is None


@pytest.mark.parametrize("kept", ["", "scrypt$1$2", "scrypt$x$8$1$00$00", "md5$16384$8$1$00$00"])
def test_a_damaged_hash_lets_nobody_in(kept: str) -> None:
    assert not access.matches(kept, "")


def test_a_state_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none/page\.token: No such file.* its first start"):
        access.make_token(tmp_path / "none")
