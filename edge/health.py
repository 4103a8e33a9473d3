"""What state the daemon is in, and who is told: systemd, `status`, `health`."""

import os
import socket
import threading
import time
from collections import Counter
from enum import StrEnum
from typing import Final

STAMP_S: Final = 20.0
"""A loop that has not stamped for so long is stuck, in seconds."""


class Phase(StrEnum):
    """Where in its life the daemon is."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    """Ready, but something needs a person or will not work for now: see the reasons."""
    DRAINING = "draining"


class Health:
    """Stamps of the loops, reasons for being degraded, counters. Any thread may call any method."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mine = threading.local()
        self._stamps: dict[str, float] = {}
        self._reasons: dict[str, str] = {}
        self._phase = Phase.STARTING
        self.counters: Counter[str] = Counter()
        self._started = time.monotonic()
        self.changed = threading.Event()
        """Set whenever the phase or the reasons change; whoever publishes the status clears it."""

    def stamp(self, loop: str) -> None:
        """One turn of a loop."""
        self._mine.loop = loop
        with self._lock:
            self._stamps[loop] = time.monotonic()

    def beat(self) -> None:
        """Stamp the loop of this thread, from inside something that takes long."""
        loop = getattr(self._mine, "loop", None)
        if loop is not None:
            self.stamp(loop)

    def retire(self, loop: str) -> None:
        """A loop ended because it was told to."""
        with self._lock:
            self._stamps.pop(loop, None)

    def stuck(self) -> list[str]:
        """Loops that have not turned for STAMP_S."""
        with self._lock:
            return sorted(
                loop for loop, at in self._stamps.items() if time.monotonic() - at > STAMP_S
            )

    def degrade(self, key: str, reason: str) -> None:
        """Something is wrong; `reason` is a sentence without names of files or people."""
        with self._lock:
            if self._reasons.get(key) == reason:
                return
            self._reasons[key] = reason
        self.changed.set()

    def recover(self, key: str) -> None:
        """It is right again."""
        with self._lock:
            if self._reasons.pop(key, None) is None:
                return
        self.changed.set()

    def enter(self, phase: Phase) -> None:
        """Go on to another phase of life."""
        with self._lock:
            self._phase = phase
        self.changed.set()

    def count(self, what: str) -> None:
        """Add one to a counter."""
        with self._lock:
            self.counters[what] += 1

    @property
    def uptime_s(self) -> float:
        """Seconds since the daemon was started."""
        return time.monotonic() - self._started

    @property
    def reasons(self) -> list[str]:
        """Why the daemon is degraded."""
        with self._lock:
            return sorted(self._reasons.values())

    @property
    def phase(self) -> Phase:
        """`ready` turns into `degraded` by itself while there are reasons."""
        with self._lock:
            return Phase.DEGRADED if self._phase is Phase.READY and self._reasons else self._phase


class Systemd:
    """sd_notify(3): one datagram to $NOTIFY_SOCKET; nothing where there is none."""

    def __init__(self) -> None:
        self._address = os.environ.pop(
            "NOTIFY_SOCKET", ""
        )  # popped: the workers do not speak to systemd
        for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
            os.environ.pop(name, None)

    def notify(self, *lines: str) -> None:
        """Send `READY=1`, `STATUS=...`, `WATCHDOG=1`, ..."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            try:
                out.sendto("\n".join(lines).encode(), address)
            except OSError:
                return  # a supervisor that is gone is no reason to stop
