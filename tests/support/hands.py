"""The clock of a machine in the hands of a test: its date, and the time that it has run."""

import time
from pathlib import Path

import pytest

from edge.system import uptime


class Hands:
    """Stands still until the test moves it; what keeps `time.time` as a default is not moved."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.date, self.run_s = time.time(), 1000.0
        self._boot = folder / "boot_id"
        self._boot.write_text("boot 1")
        monkeypatch.setattr(time, "time", lambda: self.date)
        monkeypatch.setattr(time, "clock_gettime", lambda _: self.run_s)
        monkeypatch.setattr(uptime, "BOOT_ID", self._boot)

    def live(self, seconds: float) -> None:
        self.date += seconds
        self.run_s += seconds

    def power_cut(self, off_s: float) -> None:
        self.date += off_s
        self.run_s = 20.0
        self._boot.write_text("boot 2")
