"""Fixtures of the configuration's tests."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from edge.config.settings import PREFIX

Written: TypeAlias = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(PREFIX) or name == "CREDENTIALS_DIRECTORY":
            monkeypatch.delenv(name)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a configuration file and says where it is."""

    def write(text: str) -> Path:
        file = tmp_path / "edge.toml"
        file.write_text(text)
        return file

    return write
