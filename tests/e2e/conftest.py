"""A rig for each test: folders, a real mosquitto, a real subscriber, the real process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.rig import Rig


@pytest.fixture
def rig(tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber) -> Iterator[Rig]:
    """A daemon that is not started yet."""
    made = Rig(tmp_path / "edge", mosquitto.port, subscriber)
    yield made
    if made.running:
        made.stop()


@pytest.fixture
def daemon(rig: Rig) -> Rig:
    """
    A daemon that is ready, whose subscriptions the broker knows: it would drop requests that come
    before them.
    """
    rig.ready().await_introduction()
    return rig
