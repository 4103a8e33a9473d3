"""Measure the real daemon: when it is ready, when each PUBACK came, the memory it holds."""

import os
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from deploy.demo.subscriber import Subscriber
from tests.bench import stamped
from tests.support.rig import Rig, until

PATIENCE_S: Final = 1800.0
MIB: Final = 1024


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in MiB."""

    resident: float
    proportional: float
    """Proportional set size: a page that n processes share counts 1/n in each."""
    peak: float


class Measured(Rig):
    """A daemon that notes the time of each PUBACK."""

    def __init__(
        self, folder: Path, broker_port: int, subscriber: Subscriber | None = None, workers: int = 1
    ) -> None:
        self.stamps_file = folder / "stamps"
        self._workers = workers
        before = [
            sys.executable,
            "-P",
            str(Path(stamped.__file__)),
            str(self.stamps_file),
        ]  # -P: our modules are not everyone's
        super().__init__(
            folder, broker_port, subscriber, f"\n[worker]\ncount = {workers}\n", before
        )
        self._notify = folder / "notify.sock"

    def start_to_ready(self) -> float:
        """Start the daemon; returns the seconds until it says READY=1 to systemd."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(self._notify))
            listener.settimeout(240)
            os.environ["NOTIFY_SOCKET"] = str(self._notify)
            try:
                start = time.monotonic()
                self.start()
            finally:
                del os.environ["NOTIFY_SOCKET"]
            while b"READY=1" not in listener.recv(4096):
                continue
            return time.monotonic() - start

    def ready(self) -> Self:
        """Start the daemon and wait until it is ready."""
        self.start_to_ready()
        return self

    def close_into_inbox(self, name: str, data: bytes) -> float:
        """
        Write a file as a device does; returns the time of its close (CLOCK_MONOTONIC, seconds).
        """
        with (self.inbox / name).open("wb", buffering=0) as file:
            file.write(data)
            return time.monotonic()

    def stamps(self) -> dict[str, float]:
        """Give the time of each image's PUBACK (CLOCK_MONOTONIC, seconds)."""
        if not self.stamps_file.exists():
            return {}
        lines = self.stamps_file.read_text().rpartition("\n")[0].splitlines()
        return {image_id: float(moment) for image_id, moment in map(str.split, lines)}

    def wait_for(self, image_ids: set[str]) -> dict[str, float]:
        """Wait until all these images have a stamp; returns the stamps."""
        until(
            lambda: image_ids <= self.stamps().keys(),
            f"{len(image_ids)} results",
            self.words,
            PATIENCE_S,
        )
        return self.stamps()

    def warm_up(self, data: bytes) -> None:
        """Send two files for each worker through."""
        image_ids = {
            self.drop(f"warm-{number}", bytes([number]) + data[1:])
            for number in range(2 * self._workers)
        }
        self.wait_for(image_ids)

    def processor_s(self) -> float:
        """
        Give the processor seconds of the supervisor so far: all threads, and the kernel's work for
        them.
        """
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, Memory]:
        """Give the memory of the supervisor, of its workers and of Python's resource tracker."""
        if self.process is None:
            return {}
        found = {"supervisor": memory_of(self.process.pid)}
        workers = 0
        for pid in self.children():
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            workers += b"spawn_main" in command
            found[f"worker {workers}" if b"spawn_main" in command else "resource tracker"] = (
                memory_of(pid)
            )
        return found


def memory_of(pid: int) -> Memory:
    """Read the memory that a process holds now, and its maximum so far."""
    rollup = _fields(Path(f"/proc/{pid}/smaps_rollup"))
    return Memory(
        rollup["Rss"] / MIB,
        rollup["Pss"] / MIB,
        _fields(Path(f"/proc/{pid}/status"))["VmHWM"] / MIB,
    )


def _fields(file: Path) -> dict[str, Any]:
    pairs = (line.split(":", 1) for line in file.read_text().splitlines() if ":" in line)
    return {name: int(value.split()[0]) for name, value in pairs if value.strip().endswith(" kB")}
