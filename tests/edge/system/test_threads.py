"""Threads that are not loops are noticed, too, when they hang."""

import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from errno import EBADF, EIO
from pathlib import Path

import pytest

from edge import health as stamps
from edge.daemon.control.unix_socket import ControlServer, ask
from edge.daemon.telemetry.http_server import MetricsServer
from edge.health import Health
from edge.system import files
from edge.system.threads import Listener, Loop
from tests.support.rig import PATIENCE_S, until

SILENCE_S = 2.0


def connected(listener: Listener) -> socket.socket:
    address = listener._server.server_address
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    client = socket.socket(family, socket.SOCK_STREAM)
    client.connect(address)
    return client


@pytest.fixture(params=["control", "metrics"])
def listener(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Listener]:
    monkeypatch.setattr(stamps, "STAMP_S", SILENCE_S)
    health = Health()
    made: Listener = (
        ControlServer(tmp_path / "control.sock", {}, health)
        if request.param == "control"
        else MetricsServer(("127.0.0.1", 0), lambda: b"", ready=bool, alive=bool, health=health)
    )
    made.start()
    yield made
    made.close()
    assert health.stuck() == []


def test_a_listener_whose_client_s_thread_does_not_begin_is_told_to_hang_and_to_go_on(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread whose first allocation fails leaves whoever began it waiting for ever."""
    begun, memory = threading.Thread.start, threading.Event()

    def begin(thread: threading.Thread) -> None:
        assert memory.wait(PATIENCE_S)
        begun(thread)

    health, name = listener._health, listener._thread.name
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", begin)
        with connected(listener):
            until(lambda: health.stuck() == [name], "told")
    memory.set()
    until(lambda: health.stuck() == [], "it goes on")


def test_a_listener_that_waits_for_clients_does_not_hang(tmp_path: Path) -> None:
    health = Health()
    server = ControlServer(tmp_path / "control.sock", {"ping": lambda *_: {}}, health)
    server.start()
    until(lambda: "control" in health._stamps, "stamped")
    assert ask(tmp_path / "control.sock", "ping") == {}
    server.close()
    assert "control" not in health._stamps


def test_all_threads_that_sync_begin_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(files._SYNCING, "fresh") as pool:
        monkeypatch.setattr(files, "_DISK", pool)
        files.begin_syncing()
        names = [thread.name for thread in threading.enumerate()]
        assert sum(name.startswith("fresh") for name in names) == files._SYNCING


class Breaking(Loop):
    """A loop whose end goes wrong."""

    def __init__(self, health: Health) -> None:
        super().__init__("breaking", health)
        self.turned = threading.Event()

    def turn(self) -> None:
        self.turned.set()
        self._stop.wait(PATIENCE_S)

    def wake(self) -> None:
        raise OSError(EBADF, os.strerror(EBADF))

    def last_turn(self) -> None:
        raise OSError(EIO, os.strerror(EIO))


def test_a_loop_whose_end_goes_wrong_ends_and_keeps_no_other_from_ending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    died: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", died.append)
    health = Health()
    loop = Breaking(health)
    loop.start()
    assert loop.turned.wait(PATIENCE_S)
    loop.stop(PATIENCE_S)
    assert not loop._thread.is_alive()
    assert died == []
    assert "breaking" not in health._stamps
    assert health.counters["loop_failures"] == 1
