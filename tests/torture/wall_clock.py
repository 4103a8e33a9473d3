"""
A wall clock that a scenario moves, and with it the time that the machine has run.

The process that forks daemons puts it in place before anything of the product is imported, which
keeps `time.time` as a default of functions. It moves only those that are told to follow a file.
"""

import json
import time
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final, Self

_time: Final = time.time
_gettime: Final = time.clock_gettime
_followed: Path | None = None


class StepClock:
    """The clock of one machine, as its scenario moves it, in the file that daemons follow."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "clock.json"
        self.boot = folder / "boot_id"
        self._date_s = self._lived_s = 0.0
        self.power_cut()

    def date(self) -> float:
        """Return the Unix time that it shows."""
        return _time() + self._date_s

    def step(self, date_s: float) -> None:
        """Let it show the right time and so many seconds more."""
        self._date_s = date_s + self._lived_s
        self._write()

    def live(self, seconds: float) -> None:
        """Let time pass: the date and how long the machine has run go on together."""
        self._lived_s += seconds
        self._date_s += seconds
        self._write()

    def power_cut(self) -> None:
        """Be another boot of the machine; daemons that are started see it."""
        self.boot.write_text(f"boot {time.monotonic_ns()}")
        self._write()

    def _write(self) -> None:
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps({"date": self._date_s, "lived": self._lived_s}))
        part.rename(self.file)  # no daemon reads half of it


def install() -> None:
    """Put the clock in place; it shows the right time until it follows a file."""
    time.time = lambda: _time() + _offset("date")
    time.clock_gettime = lambda which: (
        _gettime(which) + (_offset("lived") if which == time.CLOCK_BOOTTIME else 0.0)
    )


def follow(file: Path) -> None:
    """Show, in this process, the time of the machine whose file this is."""
    global _followed  # noqa: PLW0603 - a process has one clock
    _followed = file


def _offset(what: str) -> float:
    return float(json.loads(_followed.read_bytes())[what]) if _followed else 0.0


class SteppedDatetime(datetime):
    """The `datetime` of modules that ask it for the time; written in C, it asks the kernel."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(time.time(), tz or UTC)
