"""
Mixed load with random faults for a long time; memory, descriptors, threads, disk and latency over
time as a picture.

    python -m tests.torture.soak --minutes 60 --write docs/quality/soak.png      beside the picture:
    docs/quality/soak.md

The real model on small real films. Retention is set to minutes and told not to wait an hour, so
that the disk has to be flat too. The supervisor is not killed: its memory is what is watched.
"""

import argparse
import json
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.rig import film, sha256
from tests.torture.bench import Bench
from tests.torture.site import Site

SAMPLE_S: Final = 5.0
SETTINGS: Final = (
    "[retention]\ndone_days = 0.002\nfailed_days = 0.002\nresults_days = 0.003\nmin_free_mb = 0\n"
)
WAYS: Final = ("folder", "mqtt", "reply")


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of the daemon."""

    at_min: float
    supervisor_mb: float
    workers_mb: float
    descriptors: int
    threads: int
    disk_mb: float
    ledger_mb: float
    latency_s: float | None
    """The median time from file to result since the last sample; None if nothing came."""


def main() -> int:
    """Soak; returns 0 if everything came, under one result id each, and nothing grew."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--write", type=Path, metavar="FILE.png")
    arguments = parser.parse_args()
    with Bench() as bench, bench.site(SETTINGS) as site:
        site.set_keys("broker", "ack_s = 2.0")
        soak = Soak(site, arguments.minutes)
        soak.run()
        problems = soak.problems()
    lines = [
        *soak.summary(arguments.minutes),
        *([] if problems else ["", "No file missing, none with two result ids."]),
        *(f"- **NOT FLAT OR NOT WHOLE**: {problem}" for problem in problems),
    ]
    print("\n".join(lines))  # noqa: T201
    if arguments.write:
        draw(soak.samples, soak.faults, arguments.write)
        picture = (
            f"![memory, descriptors, threads, disk and latency over time]({arguments.write.name})"
        )
        arguments.write.with_suffix(".md").write_text(
            "\n".join(["# Soak", "", *lines, "", picture, ""])
        )
    return 1 if problems else 0


class Soak:
    """One run of the soak."""

    def __init__(self, site: Site, minutes: float) -> None:
        self._site = site
        self._began = time.monotonic()
        self._until = self._began + minutes * 60
        self._sent: dict[str, float] = {}
        self._files = 0
        self._random = random.Random(3)  # noqa: S311
        self._heard = 0
        self._stop = threading.Event()
        self.samples: list[Sample] = []
        self.faults: list[tuple[float, str]] = []

    def run(self) -> None:
        """Run: load, faults and samples, then a quiet end."""
        self._site.introduced(stub=False, prune_soon=True)
        others = [
            threading.Thread(target=loop, daemon=True) for loop in (self._look, self._disturb)
        ]
        for thread in others:
            thread.start()
        number = 0
        while time.monotonic() < self._until:
            number += 1
            self._files = number
            data = film(number) if number % 20 else b"no mammogram " * number
            self._sent[sha256(data)] = time.monotonic()
            self._site.give(data, scored=bool(number % 20), by=WAYS[number % 3])
            time.sleep(self._random.random())
        self._stop.set()
        for thread in others:
            thread.join()
        self._site.recovered()

    def problems(self) -> list[str]:
        """List everything that is lost, doubled or grown."""
        ids: dict[str, set[str]] = {}
        for message in self._site.heard():
            ids.setdefault(message["image_id"], set()).add(message["result_id"])
        missing = self._site.accepted.keys() - ids.keys()
        found = [f"{len(missing)} files without a result"] if missing else []
        found += (
            [f"{len(ids) - len(self._site.accepted)} results of nobody's files"]
            if ids.keys() - self._site.accepted.keys()
            else []
        )
        found += (
            ["an image with two result ids"] if any(len(one) > 1 for one in ids.values()) else []
        )
        return found + [
            f"{what} grew from {first:.1f} to {last:.1f}"
            for what, first, last, allowed in self._trends()
            if last - first > allowed
        ]

    def summary(self, minutes: float) -> list[str]:
        """Summarise the run in lines of Markdown."""
        kinds = sorted({what for _, what in self.faults})
        counted = ", ".join(
            f"{sum(what == kind for _, what in self.faults)} x {kind}" for kind in kinds
        )
        head = (
            f"{minutes:g} minutes, {self._files} files by folder and over MQTT, "
            f"one in twenty of them no mammogram; {counted}."
        )
        rows = [f"| {what} | {first:.1f} | {last:.1f} |" for what, first, last, _ in self._trends()]
        return [head, "", "| median of | second quarter | last quarter |", "|---|--:|--:|", *rows]

    def _trends(self) -> list[tuple[str, float, float, float]]:
        """
        List each quantity: its value in the second quarter, in the last quarter, and the growth
        that is allowed.
        """
        count = len(self.samples)
        second, last = self.samples[count // 4 : count // 2], self.samples[-(count // 4) :]
        wanted: list[tuple[str, Callable[[Sample], float], float]] = [
            ("supervisor, MB", lambda sample: sample.supervisor_mb, 3.0),
            ("workers, MB", lambda sample: sample.workers_mb, 15.0),
            ("descriptors of the supervisor", lambda sample: sample.descriptors, 3.0),
            ("threads of the supervisor", lambda sample: sample.threads, 1.0),
            ("disk, MB", lambda sample: sample.disk_mb, 20.0),
            ("ledger, MB", lambda sample: sample.ledger_mb, 2.0),
        ]
        return [
            (what, statistics.median(map(get, second)), statistics.median(map(get, last)), allowed)
            for what, get, allowed in wanted
        ]

    def _look(self) -> None:
        while not self._stop.wait(SAMPLE_S):
            assert self._site.process is not None
            pid = self._site.process.pid
            self.samples.append(
                Sample(
                    (time.monotonic() - self._began) / 60,
                    resident_mb(pid),
                    sum(resident_mb(worker) for worker in self._site.workers()),
                    len(list(Path(f"/proc/{pid}/fd").iterdir())),
                    len(list(Path(f"/proc/{pid}/task").iterdir())),
                    size_mb(self._site.done, self._site.failed, self._site.spool),
                    size_mb(self._site.folder / "state"),
                    self._latency(),
                )
            )

    def _latency(self) -> float | None:
        assert self._site.subscriber is not None
        messages = self._site.subscriber.messages[self._heard :]
        self._heard += len(messages)
        ages = []
        for message in messages:
            image_id = (
                json.loads(message.payload).get("image_id")
                if message.payload.startswith(b"{")
                else None
            )
            if image_id in self._sent:
                ages.append(
                    message.timestamp - self._sent.pop(image_id)
                )  # requests are heard, too; results only have an image id
        return statistics.median(ages) if ages else None

    def _disturb(self) -> None:
        broker = self._site.broker
        while not self._stop.wait(5 + 20 * self._random.random()):
            what = self._random.choice(
                ("worker killed", "broker restarted", "broker stopped for 3 s")
            )
            self.faults.append(((time.monotonic() - self._began) / 60, what))
            if what == "worker killed":
                self._site.kill_workers()
            elif what == "broker restarted":
                broker.restart()
            elif broker.process is not None:
                broker.process.send_signal(signal.SIGSTOP)
                time.sleep(3)
                broker.process.send_signal(signal.SIGCONT)


def resident_mb(pid: int) -> float:
    """Read the resident memory of a process in MB; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024
    except (OSError, IndexError):
        return 0.0


def size_mb(*folders: Path) -> float:
    """Sum the sizes of all files below folders, in MB."""
    total = 0
    for root in folders:
        for folder, _, files in os.walk(root):
            for name in files:
                try:
                    total += Path(folder, name).stat().st_size
                except OSError:
                    continue
    return total / 2**20


def draw(samples: Sequence[Sample], faults: Sequence[tuple[float, str]], file: Path) -> None:
    """Draw one small picture under another; a grey line is a fault."""
    import matplotlib as mpl  # noqa: PLC0415 - where training is installed

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    panels: list[tuple[str, list[tuple[str, Callable[[Sample], float | None]]]]] = [
        (
            "MB",
            [
                ("supervisor", lambda one: one.supervisor_mb),
                ("workers", lambda one: one.workers_mb),
            ],
        ),
        (
            "count",
            [("descriptors", lambda one: one.descriptors), ("threads", lambda one: one.threads)],
        ),
        (
            "MB",
            [("images on disk", lambda one: one.disk_mb), ("ledger", lambda one: one.ledger_mb)],
        ),
        ("s", [("file to result, median of 5 s", lambda one: one.latency_s)]),
    ]
    figure, axes = plt.subplots(len(panels), 1, figsize=(9, 9), sharex=True)
    for axis, (unit, lines) in zip(axes, panels, strict=True):
        for label, get in lines:
            points = [(one.at_min, value) for one in samples if (value := get(one)) is not None]
            axis.plot(
                [at for at, _ in points], [value for _, value in points], label=label, linewidth=1
            )
        for at, _ in faults:
            axis.axvline(at, color="0.85", linewidth=0.5, zorder=0)
        axis.set_ylabel(unit)
        axis.set_ylim(bottom=0)
        axis.legend(loc="upper right", fontsize=8)
    axes[-1].set_xlabel("minutes; grey: worker killed, broker restarted or stopped")
    figure.tight_layout()
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    sys.exit(main())
