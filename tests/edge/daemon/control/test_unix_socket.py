"""The control socket answers whoever asks, whatever others send or do not send."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from edge.daemon.control import unix_socket
from edge.daemon.control.unix_socket import AT_ONCE, ControlServer, NoDaemonError, ask
from edge.errors import Unavailable
from edge.health import Health
from tests.support.rig import PATIENCE_S, until


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    server = ControlServer(tmp_path / "control.sock", {"ping": lambda *_: {}}, Health())
    server.start()
    yield tmp_path / "control.sock"
    server.close()


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(PATIENCE_S)
    client.connect(str(path))
    return client


@pytest.mark.parametrize("line", [b"[" * 100_000, b"\xff", b"5", b"1" * 5000, b'{"command": {}}'])
def test_a_line_that_is_no_request_is_answered_by_what_was_expected(
    path: Path, line: bytes
) -> None:
    with connected(path) as client, client.makefile("rb") as answer:
        client.sendall(line + b"\n")
        assert json.loads(answer.readline())["error"] == 'expected {"command": one of ping}'


def test_a_line_whose_parsing_fails_as_nobody_foresaw_is_answered(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: bytes) -> object:
        raise MemoryError

    monkeypatch.setattr("edge.daemon.control.unix_socket.json.loads", fail)
    with connected(path) as client, client.makefile("rb") as answer:
        client.sendall(b'{"command": "ping"}\n')
        assert answer.readline() == b'{"ok": false, "error": "MemoryError"}\n'


def test_clients_that_say_nothing_keep_nobody_from_being_answered(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix_socket._Connection, "timeout", 0.5)
    before = threading.active_count()
    with ExitStack() as opened:
        clients = [opened.enter_context(connected(path)) for _ in range(2 * AT_ONCE)]
        assert threading.active_count() <= before + AT_ONCE
        for client in clients:
            client.recv(1)
        until(lambda: threading.active_count() <= before, "they were hung up on")
        assert ask(path, "ping") == {}


@pytest.mark.parametrize("size", [1, 2**20])
def test_one_client_too_many_is_told_that_the_daemon_is_busy(path: Path, size: int) -> None:
    with ExitStack() as opened:
        for _ in range(AT_ONCE):
            opened.enter_context(connected(path))
        for _ in range(20):
            with pytest.raises(Unavailable, match="busy: 64 clients") as told:
                ask(path, "ping", text="x" * size)
            assert not isinstance(told.value, NoDaemonError)


def test_a_thread_that_cannot_be_begun_takes_no_other_client_s_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        msg = "can't start new thread"
        raise RuntimeError(msg)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(2 * AT_ONCE):
            with connected(path) as client:
                assert client.recv(1) == b""
    assert ask(path, "ping") == {}
