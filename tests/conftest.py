"""Fixtures of all tests: real brokers, real subscribers, the data that is not committed."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.brokers import Embedded, Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.tools import ROOT, need

pytest_plugins = ["tests.support.ordering", "tests.support.reporting"]
SHARED: Final = ROOT.parent / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder beside the checkout with data that is not ours to commit."""
    if not SHARED.is_dir():
        pytest.skip("../shared is absent: only its data can feed this test")
    return SHARED


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """
    A running mosquitto of this test's own: start, stop, kill and restart it at will, the port
    stays.
    """
    need("mosquitto", "mosquitto")
    with Mosquitto(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    """The broker that needs no system package."""
    with Embedded(tmp_path / "iotcore") as broker:
        yield broker


@pytest.fixture
def subscriber(mosquitto: Mosquitto) -> Iterator[Subscriber]:
    """Hears everything under mammo/v1/ on this test's mosquitto."""
    with Subscriber(mosquitto.port) as listener:
        yield listener


@pytest.fixture
def another_mount(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renames out of a folder called inbox fail as they do between two mounts."""
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.parent.resolve().name == "inbox":
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
