"""
Run a broker as a child process: mosquitto if the machine has it, else the one of a wheel.

The tests use these brokers too.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

MAX_BYTES: Final = 268_435_455
"""The largest MQTT message that is possible."""
PORTS: Final = range(10_000, 32_768)
"""Ports below those that Linux gives to outgoing connections."""

# Only a mosquitto that root starts looks at `user`: it would become a user who may not write here.
# A limit of 0 queued messages, which means none, makes 2.0.11 hang up on a publish that it denies.
MOSQUITTO_CONF: Final = """\
listener {port} 127.0.0.1
user root
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes true
max_packet_size {max_bytes}
max_queued_messages 100000
log_dest stderr
"""
"""
A configuration that forgets nothing: with the default autosave a killed broker forgets messages it
acknowledged.
"""

IOTCORE_CONF: Final = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "loopback"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {max_bytes}
max_inflight_count = 100
dynamic_filters = true
"""


def find_mosquitto() -> str | None:
    """Find mosquitto, which Debian installs outside of a user's PATH."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """
    Find a loopback port on which nothing listens right now.

    No outgoing connection takes it before its owner does, or while a broker restarts.
    """
    while True:
        port = secrets.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Broker:
    """
    A broker on a free loopback port that it keeps over restarts, with its files in one folder.
    """

    name = "broker"

    def __init__(self, folder: Path, config: str = "") -> None:
        self.folder = folder
        self.port = free_port()
        self.config = config
        """Lines to add to the broker's own configuration."""
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, patience_s: float = 120.0) -> Self:
        """Start the broker and wait until it accepts connections."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "broker.log").open("ab") as log:
            self.process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + patience_s
        while not self._accepts():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                msg = (
                    f"{self.name} did not start: "
                    f"{(self.folder / 'broker.log').read_text(errors='replace')[-500:]}"
                )
                raise RuntimeError(msg)
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        """Stop the broker by SIGTERM, at which it writes its database."""
        if self.process:
            self.process.terminate()
            self._reap(self.process)

    def kill(self) -> None:
        """Kill the broker by SIGKILL: everything it had not written is gone."""
        if self.process:
            self.process.kill()
            self._reap(self.process)

    def restart(self) -> Self:
        """Stop the broker and start it on the same port."""
        self.stop()
        return self.start()

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        self.process = None
        try:
            process.wait(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=10).close()
        except OSError:
            return False
        return True

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Mosquitto(Broker):
    """A real mosquitto, without privileges, that keeps everything it has acknowledged."""

    name = "mosquitto"

    def _command(self) -> list[str]:
        program = find_mosquitto()
        if program is None:
            msg = "mosquitto is not installed"
            raise RuntimeError(msg)
        conf = self.folder / "mosquitto.conf"
        text = MOSQUITTO_CONF.format(port=self.port, folder=self.folder, max_bytes=MAX_BYTES)
        conf.write_text(text + self.config)
        return [program, "-c", str(conf)]


class Embedded(Broker):
    """The broker of the `iotcore` wheel, which keeps nothing across a restart."""

    name = "iotcore"

    def _command(self) -> list[str]:
        conf = self.folder / "iotcore.toml"
        conf.write_text(IOTCORE_CONF.format(port=self.port, max_bytes=MAX_BYTES) + self.config)
        return [sys.executable, "-m", "iotcore", "--config", str(conf), "--log-level", "CRITICAL"]


def best_broker(folder: Path) -> Broker:
    """Give a mosquitto if the machine has one, else the embedded broker."""
    return Mosquitto(folder) if find_mosquitto() else Embedded(folder)
