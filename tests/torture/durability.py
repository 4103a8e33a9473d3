"""
Measure the cost of durability: files a second as shipped, and with synchronous=OFF and no fsync at
all.

`python -m tests.torture.durability` also measures the duration of one sync on this disk.
tests/torture/patches.py makes the careless run inside the daemon that it measures; the product has
no such switch.
"""

import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from edge.daemon.intake.inotify import filesystem_of
from tests.support.films import demo_files
from tests.support.rig import sha256, until
from tests.torture.bench import Bench, scaled
from tests.torture.site import Site

PREAMBLE: Final = 64
"""The place at which a DICOM file may have any bytes."""
LARGE: Final = 26 * 2**20


def section(bench: Bench, scale: float) -> list[str]:
    """Measure; returns lines of Markdown."""
    lines = [
        "",
        "## What durability costs",
        "",
        "| run | as shipped, files/s | no sync at all, files/s | ratio |",
        "|---|--:|--:|--:|",
    ]
    real = list(mammograms(scaled(48, scale, 8)))
    for what, files, stub in (
        ("the shipped model, DICOM of 11 to 13 megapixels", real, False),
        ("a stand-in of 0.1 ms for the model, files of 1 kB", small(scaled(600, scale, 50)), True),
    ):
        runs = [throughput(bench, files, stub=stub, unsafe=bool(turn % 2)) for turn in range(6)]
        shipped, careless = statistics.median(runs[::2]), statistics.median(runs[1::2])
        lines.append(
            f"| {what}; median of 3 x {len(files)} | {shipped:.2f} | "
            f"{careless:.2f} | {shipped / careless:.2f} |"
        )
    return [*lines, "", *costs(bench.new_folder())]


def mammograms(count: int) -> Iterator[bytes]:
    """Yield the demonstration files again and again, each time with other bytes in the preamble."""
    known = [path.read_bytes() for path in demo_files()]
    for number in range(count):
        data = bytearray(known[number % len(known)])
        data[PREAMBLE : PREAMBLE + 4] = number.to_bytes(4, "big")
        yield bytes(data)


def small(count: int) -> list[bytes]:
    """Yield files that cost nothing to examine."""
    return [f"small {number} ".encode() * 80 for number in range(count)]


def throughput(bench: Bench, files: Sequence[bytes], *, stub: bool, unsafe: bool) -> float:
    """
    Measure files a second, from the first to the last result of a subscriber; all files lie in the
    inbox before.
    """
    with bench.site() as site:
        for number, data in enumerate(files):
            site.drop(f"{number}.dcm", data)
            site.accepted[sha256(data)] = True
        time.sleep(0.3)  # all are quiet
        site.ready(stub=stub, unsafe=unsafe)
        until(lambda: len(site.heard()) >= len(files), "all results", site.words, 600.0)
        stamps = result_times(site)
        site.stop()
        assert all(message["score"] for message in site.heard())
    return (len(stamps) - 1) / (stamps[-1] - stamps[0])


def result_times(site: Site) -> list[float]:
    assert site.subscriber is not None
    return sorted(
        message.timestamp
        for message in site.subscriber.messages
        if message.topic.endswith("/result")
    )


def costs(folder: Path) -> Iterator[str]:
    """Measure the duration of one sync on this disk."""
    yield "| one sync on this disk | median, ms |"
    yield "|---|--:|"
    for what, size in (
        ("a new file of 4 kB, its name and its folder", 4096),
        ("a new file of 26 MB, its name and its folder", LARGE),
    ):
        times = [sync_once(folder / f"{size}-{turn}", size) for turn in range(20)]
        yield f"| {what} | {1000 * statistics.median(times):.1f} |"
    yield ""
    yield f"File system: {shutil.disk_usage(folder).total // 2**30} GB, {mount_of(folder)}."


def sync_once(path: Path, size: int) -> float:
    data = os.urandom(size)
    folder = os.open(path.parent, os.O_RDONLY)
    began = time.monotonic()
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        written = time.monotonic()
        os.fsync(file.fileno())
    os.fsync(folder)
    took = time.monotonic() - (written if size == LARGE else began)
    os.close(folder)
    path.unlink()
    return took


def mount_of(folder: Path) -> str:
    return filesystem_of(folder)


def main() -> int:
    """Print the section."""
    with Bench() as bench:
        print("\n".join(section(bench, 1.0)))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
