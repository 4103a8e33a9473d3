"""The broker's password, from each of its places."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from edge.config.credentials import read_secret
from edge.config.load import load
from edge.errors import ConfigError

SECRET: Final = "geheim-4711"  # noqa: S105 - a test's


Written: TypeAlias = Callable[[str], Path]


def test_the_password_may_come_from_a_variable(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMMO_EDGE_BROKER__PASSWORD", SECRET)
    assert read_secret(load(written("")).broker) == SECRET


def test_the_password_may_come_from_the_first_line_of_a_file(
    written: Written, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(f"{SECRET}\nnot this\n")
    assert (
        read_secret(load(written(f"[broker]\npassword_file = '{tmp_path}/password'\n")).broker)
        == SECRET
    )


def test_the_password_may_come_from_a_systemd_credential(written: Written, tmp_path: Path) -> None:
    (tmp_path / "mqtt-password").write_text(SECRET)
    broker = load(written("")).broker
    assert read_secret(broker, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == SECRET
    assert read_secret(broker, {}) is None


def test_a_password_file_goes_before_the_credential_and_a_password_before_both(
    written: Written, tmp_path: Path
) -> None:
    (tmp_path / "mqtt-password").write_text("credential")
    (tmp_path / "password").write_text("file")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    section = f"[broker]\npassword_file = '{tmp_path}/password'\n"
    assert read_secret(load(written(section)).broker, environ) == "file"
    assert read_secret(load(written(f"{section}password = 'key'\n")).broker, environ) == "key"


def test_a_password_file_that_cannot_be_read_is_named(written: Written, tmp_path: Path) -> None:
    broker = load(written(f"[broker]\npassword_file = '{tmp_path}/none'\n")).broker
    with pytest.raises(ConfigError, match=rf"broker\.password_file: {tmp_path}/none: No such file"):
        read_secret(broker)
