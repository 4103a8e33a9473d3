"""Torture by inboxes on file systems that tell no events, or are pulled from under the daemon."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.rig import PATIENCE_S, sha256, until
from tests.torture.bench import Bench, NotHereError, Row, mounted, scaled
from tests.torture.crashes import POINTS
from tests.torture.site import Site
from tests.torture.stub import TORN

OVER_MQTT: Final = frozenset({"request written, not recorded", "PUBACK to be sent", "PUBACK sent"})
"""The points that no file of the inbox passes."""


@contextlib.contextmanager
def bindfs(source: Path, target: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Mount the inbox by FUSE, and give its server: files are seen, events are not."""
    if shutil.which("bindfs") is None:
        msg = "bindfs is missing: sudo apt install bindfs"
        raise NotHereError(msg)
    log = target.with_name("bindfs.log")
    with log.open("wb") as stream:
        server = subprocess.Popen(["bindfs", "-f", str(source), str(target)], stderr=stream)
    until(lambda: target.is_mount() or server.poll() is not None, "mounted", log.read_text)
    if server.returncode is not None:
        msg = f"bindfs: {log.read_text().strip()}"
        raise NotHereError(msg)
    try:
        yield server
    finally:
        server.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "-l", str(target)], check=False, capture_output=True)
        server.wait(PATIENCE_S)  # it ends once nobody has the mount open


def fuse(bench: Bench, scale: float) -> Row:
    """Examine without events, every file a copy; then the mount is pulled and put back."""
    row = Row(
        "inbox on a FUSE mount without events; the mount pulled and put back", scaled(4, scale)
    )
    for _ in range(row.repetitions):
        with bench.site() as site:
            site.set_keys("inbox", "poll_s = 0.2")
            behind = site.folder / "behind"
            behind.mkdir()
            with bindfs(behind, site.inbox):
                site.ready()
                give_behind(site, behind, 6)
                site.recovered()
            site.give_some(0)
            with bindfs(behind, site.inbox):
                give_behind(site, behind, 6)
                site.faulted()
                site.recovered()
                site.stop()
                site.last = site.judged()
            row.add(site.last, time.monotonic() - site.faulted_at)
    return row


def give_behind(site: Site, folder: Path, count: int) -> None:
    """Let files appear behind the mount."""
    for _ in range(count):
        data = f"behind {len(site.accepted)} {site.folder}".encode() * 20
        (folder / f"{len(site.accepted)}.png").write_bytes(data)
        site.accepted[sha256(data)] = True


def slow_senders(bench: Bench, scale: float) -> Row:
    """Pause in each film until its half is answered, die at each step meanwhile, and go on."""
    row = Row(
        "senders on a FUSE mount that pause until half a film is answered and then go on; "
        "SIGKILL at every step",
        0,
    )
    for _ in range(scaled(2, scale)):
        with bench.site() as site:
            quick = site.config.read_text().replace("quiet_s = 0.2", "quiet_s = 0.05")
            site.config.write_text(quick)
            site.set_keys("inbox", "poll_s = 0.05")
            behind = site.folder / "behind"
            behind.mkdir()
            with bindfs(behind, site.inbox):
                for point in POINTS:
                    if point not in OVER_MQTT:
                        row.repetitions += pause_and_go_on(site, behind, point)
                site.faulted()
                recovery = site.recovered()
                row.add(site.judged(), recovery)
    return row


def pause_and_go_on(site: Site, folder: Path, point: str) -> bool:
    """Write half of two films, let a daemon die, and write the rest; returns True if it died."""
    if site.running:
        site.kill()
    site.start(crash=point, nth=1)
    halves = [word + f" {len(site.accepted)} {folder}".encode() * 20 for word in (b"film", TORN)]
    for half in halves:
        (folder / f"{sha256(half)[:12]}.png").write_bytes(half)
        site.accepted[sha256(half)] = not half.startswith(TORN)
    if not (died := site.died()):
        site.kill()
    site.ready()
    site.answered({sha256(half) for half in halves})
    for half in halves:
        go_on(folder / f"{sha256(half)[:12]}.png", half, b"and the end")
        site.accepted[sha256(half + b"and the end")] = True
    return died


def go_on(film: Path, half: bytes, rest: bytes) -> None:
    """Write the rest of a film; the film anew if the pause was longer than its half stays."""
    with contextlib.suppress(FileNotFoundError), film.open("r+b") as writer:
        writer.seek(0, os.SEEK_END)
        writer.write(rest)
        writer.flush()
        if os.fstat(writer.fileno()).st_nlink:
            return
    film.write_bytes(half + rest)


def pulled(bench: Bench, scale: float) -> Row:
    """Take the inbox's file system away with files on it, and bring it back."""
    row = Row("inbox's file system unmounted with files on it, and mounted again", scaled(5, scale))
    for _ in range(row.repetitions):
        with bench.site() as site:
            store = bench.new_folder()
            with mounted(site.inbox, "--bind", str(store)):
                site.ready()
                site.give_some(3)
                site.recovered()
                assert site.process is not None
                site.process.send_signal(signal.SIGSTOP)
                site.give_some(5)
            site.process.send_signal(signal.SIGCONT)
            with mounted(site.inbox, "--bind", str(store)):
                site.give_some(3)
                site.faulted()
                site.recovered()
                site.stop()
                site.last = site.judged()
            row.add(site.last, time.monotonic() - site.faulted_at)
    return row


SCENARIOS = (fuse, slow_senders, pulled)
