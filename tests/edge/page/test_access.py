"""Token and password of the page: only hashes are kept, for the service's user alone."""

import hashlib
import os
from errno import EACCES, ENOSPC
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
    assert kept.startswith("sha256$")
    assert [access.matches(kept, typed) for typed in (token, token[:-1], "")] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize("kind", ["token", "password"])
def test_a_hash_is_never_there_with_the_rights_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: access.Kind
) -> None:
    modes: list[int] = []
    rename = Path.rename

    def noted(part: Path, target: Path) -> Path:
        modes.append(part.stat().st_mode & 0o777)
        return rename(part, target)

    monkeypatch.setattr(Path, "rename", noted)
    if kind == "token":
        access.make_token(tmp_path)
    else:
        access.set_password(tmp_path, "a long password")
    assert modes == [0o600]
    assert access.file_of(tmp_path, kind).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        (" a long password ", "a long password"),
        ("a long password\r", "a long password"),
        ("a long password", "  a long password\n"),
        ("a long p\u00e4ssword", "a long pa\u0308ssword"),
    ],
)
def test_outer_blanks_and_the_form_of_a_character_do_not_count(
    tmp_path: Path, given: str, typed: str
) -> None:
    access.set_password(tmp_path, given)
    kept = access.read(tmp_path, "password") or ""
    assert access.matches(kept, typed)
    assert access.matches(kept, given)
    assert not access.matches(kept, typed.upper())


def test_two_devices_with_one_password_have_two_hashes(tmp_path: Path) -> None:
    kept = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        access.set_password(tmp_path / name, "a long pässword")
        kept.append(access.read(tmp_path / name, "password") or "")
    assert kept[0] != kept[1]
    assert all(access.matches(one, "a long pässword") for one in kept)


@pytest.mark.parametrize("password", ["", "elevenchars", "  elevenchars ", "x" * 1025])
def test_a_short_password_and_one_without_end_are_refused(tmp_path: Path, password: str) -> None:
    with pytest.raises(ConfigError, match="expected 12 to 1024"):
        access.set_password(tmp_path, password)
    assert access.read(tmp_path, "password") is None


def test_a_hash_of_scrypt_from_before_still_lets_its_token_in() -> None:
    digest = hashlib.scrypt(b"token", salt=b"salt", n=2**14, r=8, p=1, maxmem=2**26, dklen=32)
    assert access.matches(f"scrypt$16384$8$1${b'salt'.hex()}${digest.hex()}", "token")


@pytest.mark.parametrize("kept", ["", "scrypt$1$2", "scrypt$x$8$1$00$00", "md5$16384$8$1$00$00"])
def test_a_damaged_hash_lets_nobody_in(kept: str) -> None:
    assert not access.matches(kept, "")


def test_a_state_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none/page\.token: No such file.* its first start"):
        access.make_token(tmp_path / "none")


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (EACCES, "Permission denied: run this as root or as the service's user"),
        (ENOSPC, "No space left on device"),
    ],
)
def test_what_keeps_a_hash_from_being_written_has_its_own_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, ending: str
) -> None:
    def fail(_target: Path, _mode: int) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(access, "whole", fail)
    with pytest.raises(ConfigError) as found:
        access.make_token(tmp_path)
    assert str(found.value) == f"{tmp_path}/page.token: {ending}"
