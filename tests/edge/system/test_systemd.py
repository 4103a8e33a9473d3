"""Messages to systemd, heard on a socket of our own."""

import os
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.system.systemd import Systemd


@pytest.fixture(params=["a path", "an abstract name"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """What systemd listens on, named in NOTIFY_SOCKET."""
    address = (
        str(tmp_path / "notify") if request.param == "a path" else f"\0mammo-edge-{uuid.uuid4()}"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(address)
        bound.settimeout(120)
        monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))
        yield bound


def test_systemd_hears_one_datagram_of_all_lines(listener: socket.socket) -> None:
    systemd = Systemd()
    systemd.notify("READY=1", "STATUS=ready")
    systemd.notify("WATCHDOG=1")
    assert listener.recv(4096) == b"READY=1\nSTATUS=ready"
    assert listener.recv(4096) == b"WATCHDOG=1"


def test_workers_do_not_inherit_the_way_to_systemd(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    Systemd().notify("READY=1")
    assert listener.recv(4096) == b"READY=1"
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)


def test_a_supervisor_that_is_gone_is_no_reason_to_stop(listener: socket.socket) -> None:
    systemd = Systemd()
    listener.close()
    systemd.notify("WATCHDOG=1")


def test_without_systemd_nothing_is_said_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    Systemd().notify("READY=1")
