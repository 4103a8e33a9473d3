"""
Collect these tests in `make system-test` and `make container-test` only.

They need root, a Debian package and some minutes.
"""

import os
from collections.abc import Iterator

import pytest

from tests.support.tools import need
from tests.system.clinic import Clinic
from tests.system.machine import Machine
from tests.system.networks import networks

collect_ignore_glob = [] if os.environ.get("MAMMO_SYSTEM_TEST") == "1" else ["test_*.py"]
collect_ignore = [] if os.environ.get("MAMMO_CONTAINER_TEST") == "1" else ["test_container.py"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Clinic]]:
    """A machine and a clinic's broker, with one wire between them."""
    for tool, package in (
        ("systemd-nspawn", "systemd-container"),
        ("ip", "iproute2"),
        ("mosquitto", "mosquitto"),
    ):
        need(tool, package)
    need("mosquitto_sub", "mosquitto-clients")
    folder = tmp_path_factory.mktemp("world")
    with (  # noqa: SIM117
        networks(f"mammo{os.getpid()}") as (broker, device),
        Clinic(folder / "clinic", broker) as clinic,
    ):
        with Machine(folder / "machine", device) as machine:
            yield machine, clinic


@pytest.fixture
def machine(world: tuple[Machine, Clinic]) -> Machine:
    return world[0]


@pytest.fixture
def clinic(world: tuple[Machine, Clinic]) -> Clinic:
    return world[1]
