"""The machine as the doctor finds it."""

from functools import partial
from pathlib import Path

import pytest

from edge.cli.doctor import machine
from edge.cli.doctor.coral import accelerator
from edge.cli.doctor.finding import Level
from edge.config.settings import Settings, Spool
from tests.support.trees import tree


@pytest.mark.parametrize(
    ("look", "files", "level", "words"),
    [
        (machine.watches, {"proc/sys/fs/inotify/max_user_watches": "65536\n"}, Level.OK, "65536"),
        (
            machine.watches,
            {"proc/sys/fs/inotify/max_user_watches": "128\n"},
            Level.WARNING,
            "sysctl fs.inotify",
        ),
        (machine.watches, {}, Level.WARNING, "cannot be read"),
        (machine.clock, {"run/systemd/timesync/synchronized": ""}, Level.OK, "timesyncd"),
        (partial(machine.clock, asked=lambda: True), {}, Level.OK, "a program keeps it right"),
        (partial(machine.clock, asked=lambda: False), {}, Level.WARNING, "or chrony with"),
        (partial(machine.clock, asked=lambda: None), {}, Level.WARNING, "may not be asked"),
        (
            machine.processor,
            {"proc/cpuinfo": "processor : 0\nflags : fpu avx2\n"},
            Level.OK,
            "1 cores, avx2",
        ),
        (
            machine.processor,
            {"proc/cpuinfo": "processor : 0\nFeatures : fp asimd\n"},
            Level.OK,
            "asimd",
        ),
        (
            machine.processor,
            {"proc/cpuinfo": "processor : 0\nflags : fpu\n"},
            Level.WARNING,
            "inference is slow",
        ),
        (machine.processor, {}, Level.FAILED, "ProcSubset=all"),
        (
            machine.temperature,
            {"sys/class/thermal/thermal_zone0/temp": "45000\n"},
            Level.OK,
            "45 °C",
        ),
        (
            machine.temperature,
            {"sys/class/thermal/thermal_zone0/temp": "85000\n"},
            Level.WARNING,
            "cool it",
        ),
        (
            machine.temperature,
            {"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"},
            Level.WARNING,
            "better supply",
        ),
        (machine.temperature, {}, Level.OK, "no sensor"),
        (accelerator, {}, Level.OK, "none"),
        (accelerator, {"dev/apex_0": ""}, Level.OK, "PCIe"),
    ],
)
def test_each_line_says_how_it_is_and_what_to_do(
    tmp_path: Path, look: object, files: dict[str, str], level: Level, words: str
) -> None:
    finding = look(tree(tmp_path, files))  # type: ignore[operator]
    assert (finding.level, words in finding.detail) == (level, True), finding


def test_a_disk_without_room_for_intake_has_failed(tmp_path: Path) -> None:
    assert machine.disk(Settings(spool=Spool(path=tmp_path / "x", min_free_mb=0))).level is Level.OK
    full = machine.disk(Settings(spool=Spool(path=tmp_path / "x", min_free_mb=10**9)))
    assert (full.level, "intake needs 1000000000" in full.detail) == (Level.FAILED, True)
