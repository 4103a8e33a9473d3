"""Each workaround does what it is for, and is needed still: a test here fails when it is not."""

import inspect
import os
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from paho.mqtt import MQTTException
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from edge.system import workarounds

MARKED = "\ufeffmammo".encode()
STRING = len(MARKED).to_bytes(2, "big") + MARKED


def unpatched(code: str) -> str:
    """Run code in a process that has loaded nothing of ours, and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_string_with_a_byte_order_mark_is_read() -> None:
    assert workarounds.read_utf8(STRING + b"more", len(STRING)) == ("\ufeffmammo", len(STRING))


@pytest.mark.parametrize("most", [0, 1, 2, len(STRING) - 1])
def test_a_string_longer_than_its_packet_is_refused(most: int) -> None:
    with pytest.raises(MQTTException, match="longer than what holds it"):
        workarounds.read_utf8(STRING, most)


def test_paho_still_ends_the_connection_at_a_byte_order_mark() -> None:
    code = f"""
from paho.mqtt import properties
try:
    properties.readUTF({STRING!r}, {len(STRING)})
except properties.MalformedPacket as error:
    print(error)
"""
    assert "U+FEFF" in unpatched(code)


def test_paho_still_has_no_word_for_a_property_that_it_does_not_know() -> None:
    code = """
from paho.mqtt.client import Client, CallbackAPIVersion, MQTTv5
client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
client._in_packet |= {"command": 0x32, "packet": bytearray(bytes.fromhex("0001740001027f00"))}
try:
    client._packet_handle()
except Exception as error:
    print(type(error).__name__)
"""
    assert unpatched(code) in {"MalformedPacket", "KeyError"}


class Racing(Client):
    """A client whose thread ends between two looks of `loop_stop` at it."""

    @property
    def _thread(self) -> threading.Thread | None:
        return next(self.looks)

    @_thread.setter
    def _thread(self, _: threading.Thread | None) -> None:
        other = threading.Thread()
        self.looks = iter([other, other, None])


def test_paho_still_fails_if_its_thread_ends_while_it_is_stopped() -> None:
    with pytest.raises(AttributeError):
        Racing(CallbackAPIVersion.VERSION2).loop_stop()
    workarounds.stop_loop(Racing(CallbackAPIVersion.VERSION2))


def test_paho_still_has_no_public_way_to_withhold_pubrel() -> None:
    assert [name for name in dir(Client) if "pubre" in name and not name.startswith("_")] == []
    assert inspect.isfunction(Client._handle_pubrec)


def test_neither_paho_nor_python_tells_when_bytes_came() -> None:
    public = [name for name in dir(Client) if not name.startswith("_")]
    assert [name for name in public if "last" in name or "received" in name] == []
    assert [name for name in dir(socket) if "tcpinfo" in name.lower()] == []


def test_a_tcp_connection_is_silent_until_something_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        with ours, theirs:
            theirs.sendall(b"x")
            assert ours.recv(1) == b"x"
            silent = workarounds.silent_s(ours)
            assert silent is not None
            assert 0 <= silent < 60


def test_a_closed_connection_says_nothing_of_its_silence() -> None:
    closed = socket.socket()
    closed.close()
    assert workarounds.silent_s(closed) is None


def test_the_position_of_the_log_is_what_the_log_holds(tmp_path: Path) -> None:
    file = tmp_path / "ledger"
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE one (value)")
        db.commit()
        log = Path(f"{file}-wal").read_bytes()
        index = os.open(f"{file}-shm", os.O_RDONLY)
        try:
            frames, *salts = struct.unpack("=III", workarounds.wal_position(index))
        finally:
            os.close(index)
    page = int.from_bytes(log[8:12], "big")
    assert frames == (len(log) - 32) // (24 + page) > 0
    assert struct.pack("=II", *salts) == log[16:24]
    db.close()


def test_python_still_has_no_hook_for_the_log() -> None:
    assert [name for name in dir(sqlite3.Connection) if "wal" in name.lower()] == []
