"""
Torture by power cuts: what the kernel had not given to the disk is gone.

Inbox, spool, archive and ledger lie on a disk that is a file. At a cut all processes are killed and
the file is cloned at once; the daemon goes on with the clone, whose journal is replayed as after a
real cut. What a disk holds in a volatile cache of its own counts as kept.
"""

import contextlib
import hashlib
import os
import random
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.system.files import sync_folder
from tests.support.rig import sha256, until
from tests.torture.bench import ROOT_USER, Bench, NotHereError, Row, mounted, mounts_below, scaled
from tests.torture.scenarios.disks import LOW
from tests.torture.scenarios.kills import ON_ONE_MOUNT, WAYS, expect_reached
from tests.torture.site import Site

PLACES: Final = ("inbox", "spool", "done", "failed", "state")
KINDS: Final = (("mkfs.ext4", "-q"), ("mkfs.xfs", "-q"), ("mkfs.btrfs", "-q"))
"""The file systems of the disks; each keeps another part of what nobody had synced."""
CLONING: Final = ("mkfs.xfs", "-q", "-m", "reflink=1")
"""The file system below the disks, which clones a file in no time."""
SIZE: Final = 320 * 2**20
CUTS: Final = 10
"""Cuts of one disk."""
EMPTY: Final = hashlib.sha256(b"").hexdigest()
"""What may be left of a film that its sender did not sync."""


@dataclass(slots=True)
class Disk:
    """The disk with the folders of a site."""

    site: Site
    image: Path
    apart: bool
    """True if each folder is a mount of its own, as under systemd: files are copied across."""
    mounted_at: Path
    cuts: int = 0

    def plug_in(self) -> None:
        """Mount it; the file system replays its journal."""
        _run("mount", "-o", "loop", self.image, self.mounted_at)
        for place in PLACES:
            folder = self.mounted_at / place
            folder.mkdir(exist_ok=True)
            if self.apart:
                _run("mount", "--bind", folder, folder)
        sync_folder(self.mounted_at)

    def unplug(self) -> None:
        """Unmount it, once the last of the killed processes is gone."""
        for point in mounts_below(self.site.folder):
            until(lambda at=point: _done("umount", at), f"unmounted: {point}")  # type: ignore[misc]

    def cut(self) -> None:
        """Cut the power off, and switch it on again."""
        if self.site.running:
            self.site.kill_workers()
            self.site.kill()
        # The image of before stays: one that came to have its inode number would be taken for it.
        before, self.image = self.image, self.image.with_suffix(f".{self.cuts}")
        _run("cp", "--reflink=always", before, self.image)
        self.cuts += 1
        self.unplug()
        self.plug_in()
        for part in self.site.inbox.glob("*.part"):
            part.unlink()  # its sender begins anew


@contextlib.contextmanager
def on_disk(bench: Bench, number: int, *, apart: bool) -> Iterator[tuple[Site, Disk]]:
    """
    Make a site that has its folders on a disk; each number has another file system.

    Raises:
        NotHereError: the machine has no such file systems, or we may not mount them.
    """
    if not ROOT_USER:
        msg = "needs root: mounts"
        raise NotHereError(msg)
    below = _formatted(bench.new_folder() / "below", 8 * SIZE, *CLONING)
    with (
        mounted(below.with_name("disks"), "-o", "loop", str(below)) as disks,
        bench.site(LOW) as site,
    ):
        image = _formatted(disks / "disk", SIZE, *KINDS[number % len(KINDS)])
        disk = Disk(site, image, apart, site.folder / "disk")
        disk.mounted_at.mkdir()
        site.set_keys("spool", "min_free_mb = 0")
        for place in PLACES:
            site.place(place, disk.mounted_at / place)
        site.inbox, site.spool, site.done, site.failed, state = (
            disk.mounted_at / place for place in PLACES
        )
        site.states = [state]
        try:
            disk.plug_in()
        except subprocess.CalledProcessError as error:
            raise NotHereError(str(error)) from None
        yield site, disk
        disk.unplug()
    below.unlink()


def give(site: Site, rng: random.Random) -> None:
    """
    Give a film by folder or MQTT.

    It is accepted once its sender has synced it, or has the broker's PUBACK. A sender who does not
    sync may have lost it after a cut, or find it empty.
    """
    way = rng.choice((*WAYS, "folder", "careless"))
    number = len(site.accepted) + len(site.possible)
    data = f"film {number} {site.folder} ".encode() * rng.choice((10, 10, 1000))
    name = f"{number}.png"
    if way == "careless":
        site.possible |= {EMPTY, site.drop(name, data[:2000])}
    elif way == "folder":
        part = site.inbox / f"{name}.part"
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(site.inbox / name)
        sync_folder(site.inbox)
        site.accepted[sha256(data)] = True
    else:
        site.give(data, by=way)


def at_every_step(bench: Bench, scale: float) -> Row:
    """Cut the power off at each named point of crashes.py."""
    row = Row("power cut at every step", 0)
    rng = random.Random(13)  # noqa: S311
    missed: list[str] = []
    for turn in range(scaled(3, scale)):
        with on_disk(bench, turn, apart=False) as (site, disk):
            site.introduced().stop()
            for point in ON_ONE_MOUNT:
                site.start(crash=point, nth=rng.choice((1, 2)), workers_too=True)
                site.give_some(3, ("mqtt", "mqtt", "reply"))
                for _ in range(4):
                    give(site, rng)
                reached = site.died(30.0)
                disk.cut()
                row.repetitions += 1
                missed += [] if reached else [point]
            site.faulted()
            site.ready()
            recovery = site.recovered()
            row.add(site.judged(), recovery)
    expect_reached(row, missed)
    return row


def at_random(bench: Bench, scale: float) -> Row:
    """Cut the power off at random times, also while the daemon recovers from the cut before."""
    cuts = scaled(60, scale, 4)
    row = Row("power cut at random times", cuts)
    rng = random.Random(17)  # noqa: S311
    for number, first in enumerate(range(0, cuts, CUTS)):
        with on_disk(bench, number, apart=number % 2 == 1) as (site, disk):
            site.introduced()
            for _ in range(min(CUTS, cuts - first)):
                for _ in range(rng.randint(3, 8)):
                    give(site, rng)
                time.sleep(rng.random() * 0.3)
                disk.cut()
                rng.choice((site.start, site.ready, site.ready))()
            site.faulted()
            recovery = site.recovered()
            row.add(site.judged(), recovery)
    return row


def _formatted(image: Path, size: int, mkfs: str, *options: str) -> Path:
    """Make a file system in a file."""
    with image.open("wb") as file:
        file.truncate(size)
    try:
        _run(mkfs, *options, image)
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        msg = f"{mkfs}: {error}; install e2fsprogs, xfsprogs and btrfs-progs"
        raise NotHereError(msg) from None
    return image


def _run(*command: str | Path) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def _done(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


SCENARIOS = (at_every_step, at_random)
