"""
One broker and one daemon for all tests of a file; the start of a daemon takes longer than most.

Each test has a subscriber and films of its own, and finds inbox and archive empty.
"""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.rig import Films, Rig, film, until
from tests.support.tools import need

FIRST: Final = itertools.count(step=300)
"""The number of the first film of each test."""


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    need("mosquitto", "mosquitto")
    with Mosquitto(tmp_path_factory.mktemp("mosquitto")) as broker:
        yield broker


@pytest.fixture(scope="module")
def running(mosquitto: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A daemon that is ready, whose subscriptions the broker knows."""
    folder = tmp_path_factory.mktemp("one") / "edge"
    with Subscriber(mosquitto.port) as subscriber, Rig(folder, mosquitto.port, subscriber) as rig:
        rig.await_introduction()
        yield rig


@pytest.fixture
def daemon(running: Rig, subscriber: Subscriber) -> Iterator[Rig]:
    running.subscriber = subscriber
    yield running
    until(running.settled, "settled", running.words)
    for folder in (running.inbox, running.done, running.failed):
        for path in folder.iterdir():
            remove(path)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


@pytest.fixture
def films() -> Films:
    """Films by number that no other test gave: the daemon would call them duplicates."""
    first = next(FIRST)
    return lambda number: film(first + number)
