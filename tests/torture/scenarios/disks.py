"""
Torture by disks that fill up, turn read-only, or are not ours any more.

Accepted files stay, the others wait, and all goes on without a restart.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.support.rig import until
from tests.torture.bench import Bench, NotHereError, Row, mounted, scaled
from tests.torture.scenarios.kills import OTHER_MOUNT, kill_at
from tests.torture.site import Site

PLACES = ("spool", "state", "done")
ROOM = "size=4m,nr_inodes=400"
LOW = "[retention]\nmin_free_mb = 0\n"


def reasons(site: Site) -> str:
    return "; ".join(site.status()["reasons"])


def fill(folder: Path) -> Path:
    """Fill a file system."""
    ballast = folder / ".ballast.part"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        for size in (65536, 4096, 512):
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * size)
                    file.flush()
    return ballast


def fill_inodes(folder: Path) -> Path:
    """Use up all inodes."""
    ballast = folder / ".ballast"
    ballast.mkdir()
    with contextlib.suppress(OSError):
        for number in range(10_000):
            (ballast / str(number)).touch()
    return ballast


def free(ballast: Path) -> None:
    subprocess.run(["rm", "-rf", str(ballast)], check=True)


@contextlib.contextmanager
def small(site: Site, *places: str) -> Iterator[dict[str, Path]]:
    """Put some of a site's folders on small file systems of their own."""
    with contextlib.ExitStack() as stack:
        found = {}
        for place in places:
            found[place] = stack.enter_context(
                mounted(site.folder / place, "-t", "tmpfs", "-o", ROOM, "torture")
            )
        site.set_keys("spool", "min_free_mb = 0")
        yield found
        if site.running:
            site.stop()
        site.last = site.judged()  # while the folders are there


def await_fault(site: Site) -> None:
    """Wait until status tells the fault, or everything is answered in spite of it."""
    until(
        lambda: reasons(site) or len(site.heard()) >= len(site.accepted),
        "told or got through",
        site.words,
    )


def full(bench: Bench, scale: float) -> Row:
    """Use up room and inodes, on each file system alone and on all together."""
    row = Row("disk full, then inodes full: spool, ledger, archive, each and all together", 0)
    told = 0
    for places in ((*((place,) for place in PLACES), PLACES) * scaled(4, scale))[
        : scaled(16, scale, 2)
    ]:
        for exhaust in (fill, fill_inodes):
            with bench.site(LOW) as site:
                with small(site, *places) as folders:
                    site.ready()
                    site.give_some(4)
                    site.recovered()
                    ballast = [exhaust(folder) for folder in folders.values()]
                    site.give_some(12, ("folder", "folder", "mqtt"), b"film" * 1000)
                    await_fault(site)
                    told += bool(reasons(site))
                    for used in ballast:
                        free(used)
                    site.faulted()
                    recovery = site.recovered()
                row.repetitions += 1
                row.add(site.last, recovery)
    row.note = (
        f"`status` said so in {told} of {row.repetitions}; in the others what "
        "had to be written needed no more room or inodes"
    )
    return row


def read_only(bench: Bench, scale: float) -> Row:
    """Remount read-only during work, and back."""
    row = Row("remounted read-only and back: spool, ledger, archive", 0)
    for place in PLACES * scaled(3, scale):
        with bench.site(LOW) as site:
            with small(site, place) as folders:
                site.ready()
                site.give_some(3)
                site.recovered()
                target = str(folders[place])
                done = subprocess.run(
                    ["mount", "-o", "remount,ro", target], capture_output=True, check=False
                )
                forced = done.returncode == 0
                site.give_some(6, ("folder", "mqtt"))
                if forced:
                    await_fault(site)
                    subprocess.run(["mount", "-o", "remount,rw", target], check=True)
                site.faulted()
                recovery = site.recovered()
            row.repetitions += forced
            row.add(site.last, recovery)
    row.note = (
        "a file system with files open for writing cannot be remounted: the "
        "ledger's and, while a copy goes on, the spool's stay writable"
    )
    return row


def permission(bench: Bench, scale: float) -> Row:
    """Take the right to write away, and give it back."""
    if os.geteuid():
        msg = "needs root: mounts, too"
        raise NotHereError(msg)
    row = Row("permission to write lost and given back: spool, archive, inbox", 0)
    for place in ("spool/claimed", "done", "inbox") * scaled(3, scale):
        with bench.site(LOW) as site:
            site.ready(mortal=True)
            site.give_some(2)
            site.recovered()
            target = site.folder / place
            target.chmod(0o555)
            site.give_some(6, ("folder", "mqtt"))
            until(lambda: reasons(site), "told", site.words)
            target.chmod(0o755)
            site.faulted()
            recovery = site.recovered()
            row.repetitions += 1
            row.add(site.judged(), recovery)
    return row


def another_mount(bench: Bench, scale: float) -> Row:
    """Put inbox and spool on two file systems: files are copied, and kills come in between."""
    row = Row("spool on another file system than the inbox, SIGKILL at every step of the copy", 0)
    for turn in range(scaled(10, scale)):
        with bench.site(LOW) as site:
            with small(site, "spool", "state", "done", "failed"):
                site.introduced().stop()
                for point in (
                    *OTHER_MOUNT,
                    "recorded, nobody told",
                    "result filed, image not",
                    "image filed, not noted",
                ):
                    row.repetitions += kill_at(site, point, 1 + turn % 2, 4, workers_too=False)
                site.faulted()
                site.ready()
                recovery = site.recovered()
            row.add(site.last, recovery)
    return row


def low_space(bench: Bench, scale: float) -> Row:
    """Let the room run low: intake stops before it is used up, and begins again."""
    row = Row("low on space: intake stops before it hurts, and begins again", scaled(5, scale))
    for _ in range(row.repetitions):
        with bench.site(LOW) as site:
            with small(site, "spool", "done", "failed") as folders:
                site.config.write_text(
                    site.config.read_text().replace("min_free_mb = 0\n", "min_free_mb = 2\n", 1)
                )
                site.ready()
                ballast = folders["spool"] / ".ballast.part"
                ballast.write_bytes(b"x" * (5 * 2**19))
                site.give_some(6, ("folder", "mqtt"))
                until(lambda: "MiB free, intake needs 2" in reasons(site), "told", site.words)
                row.expect(len(site.waiting_in_inbox()) == 3, "files wait in the inbox")
                ballast.unlink()
                site.faulted()
                recovery = site.recovered()
            row.add(site.last, recovery)
    return row


SCENARIOS = (full, read_only, permission, another_mount, low_space)
