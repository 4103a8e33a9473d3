"""Torture by inboxes that overflow, vanish or are written badly, and by odd names."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.rig import copy_slowly, sha256, until
from tests.torture.bench import Bench, NotHereError, Row, mounted, scaled
from tests.torture.crashes import POINTS
from tests.torture.scenarios.brokers import finish, rss_mb
from tests.torture.scenarios.disks import reasons
from tests.torture.site import Site
from tests.torture.stub import TORN

OVER_MQTT: Final = frozenset({"request written, not recorded", "PUBACK to be sent", "PUBACK sent"})
"""The points that no file of the inbox passes."""


def many(bench: Bench, scale: float) -> Row:
    """
    Drop 20,000 files while the daemon cannot listen, so that the kernel drops events; then it goes
    on.
    """
    files = scaled(20_000, scale, 40)
    row = Row(
        f"{files:,} files at once while the daemon is stopped; "
        "inotify's queue holds the events of about 2,700",
        1,
    )
    with bench.site("[publish]\nhealth_s = 5\n") as site:
        site.ready()
        site.give_some(1)
        site.recovered()
        assert site.process is not None
        site.process.send_signal(signal.SIGSTOP)
        site.give_some(files)
        site.process.send_signal(signal.SIGCONT)
        site.faulted()
        until(
            lambda: site.status()["queue"]["archived"] > files // 4,
            "a quarter done",
            site.words,
            600.0,
        )
        quarter = rss_mb(site)
        recovery = site.recovered(1800.0)
        growth = rss_mb(site) - quarter
        row.expect(growth < 16, f"memory is flat: {growth:.1f} MB from a quarter to the end")
        row.note = (
            f"{files} files; supervisor {quarter:.0f} MB after a "
            f"quarter, {quarter + growth:.0f} MB at the end"
        )
        row.add(site.judged(), recovery)
    return row


def watch_limit(bench: Bench, scale: float) -> Row:
    """Allow no inotify instance, in a user namespace of its own: the inbox is listed instead."""
    row = Row("no inotify watches left (limit 0): the inbox is listed instead", scaled(5, scale))
    for _ in range(row.repetitions):
        with bench.site() as site:
            site.set_keys("inbox", "poll_s = 0.2")
            site.ready(inotify_limit=0)
            if "no events, listing it instead" not in reasons(site):
                msg = "a user namespace cannot set its inotify limit"
                raise NotHereError(msg)
            site.give_some(6)
            finish(row, site)
    return row


@contextlib.contextmanager
def bindfs(source: Path, target: Path) -> Iterator[None]:
    """Mount the inbox by FUSE: files are seen, events are not."""
    if shutil.which("bindfs") is None:
        msg = "bindfs is missing: sudo apt install bindfs"
        raise NotHereError(msg)
    done = subprocess.run(
        ["bindfs", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        msg = f"bindfs: {done.stderr.strip()}"
        raise NotHereError(msg)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(target)], check=False, capture_output=True)


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


def written_badly(bench: Bench, scale: float) -> Row:
    """Write slowly, again and again under one name; remove at once; replace."""
    row = Row(
        "files written slowly, replaced or removed between event and open, one name for many",
        scaled(5, scale),
    )
    for turn in range(row.repetitions):
        with bench.site() as site:
            site.ready()
            slow = [f"slow {turn} {number} ".encode() * 5000 for number in range(3)]
            writers = [
                threading.Thread(target=copy_slowly, args=(data, site.inbox / f"slow-{n}.png", 20))
                for n, data in enumerate(slow)
            ]
            for writer in writers:
                writer.start()
            for number in range(40):  # each may be taken, or replaced before; the last one is
                last = f"replaced {turn} {number}".encode() * 50
                site.possible.add(sha256(last))
                site.drop("one-name.png", last)
            site.accepted[sha256(last)] = True
            for number in range(40):
                data = f"removed {turn} {number}".encode() * 50
                site.possible.add(sha256(data))
                site.drop("removed.png", data)
                (site.inbox / "removed.png").unlink(missing_ok=True)
            for writer in writers:
                writer.join()
            site.accepted |= {sha256(data): True for data in slow}
            finish(row, site)
    return row


def names(bench: Bench, scale: float) -> Row:
    """Use names in Latin-1, with newlines, of 255 bytes, with blanks, in nested folders."""
    row = Row("names in Latin-1, with newlines, of 255 bytes, in nested folders", scaled(5, scale))
    for turn in range(row.repetitions):
        with bench.site() as site:
            site.ready()
            deep = site.inbox / "a" / "b c" / "d\n"
            deep.mkdir(parents=True)
            odd = [
                b"caf\xe9.dcm",
                b"new\nline.png",
                b"x" * 251 + b".png",
                b" lead",
                b"100%41.png",
                b"-rf",
                b"\xff\xfe",
                b".png.json.dcm"[1:],
            ]
            for folder, name in itertools.product((site.inbox, deep), odd):
                data = f"{turn} {folder} {name!r}".encode() * 9
                path = folder / os.fsdecode(name)
                other = folder / ".tmp"
                other.write_bytes(data)
                other.rename(path)
                site.accepted[sha256(data)] = True
            finish(row, site)
    return row


def backpressure(bench: Bench, scale: float) -> Row:
    """Send more than the queue may hold: files stay in the inbox, requests with the broker."""
    files, limit = scaled(400, scale, 40), 5
    row = Row("four times and more what the queue may hold, by folder and over MQTT", 1)
    with bench.site() as site:
        site.set_keys("spool", f"max_waiting = {limit}")
        site.introduced()
        stopped = site.workers()
        for worker in stopped:
            os.kill(worker, signal.SIGSTOP)
        site.give_some(3 * limit)  # soon full: the daemon replaces workers that take nothing
        until(
            lambda: site.status()["queue"]["waiting"] >= limit and site.status()["inbox"]["seen"],
            "the queue is full",
            site.words,
        )
        age = site.status()["queue"]["oldest_waiting_s"]
        row.expect(age is not None, "status says how old the oldest is")
        site.give_some(files - 3 * limit, ("folder", "mqtt"))
        waiting = site.status()["queue"]["waiting"]
        row.expect(waiting <= limit + 1, f"the queue stays below {limit}: {waiting}")
        for worker in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGCONT)
        site.faulted()
        finish(row, site)
    return row


SCENARIOS = (
    backpressure,
    many,
    watch_limit,
    fuse,
    slow_senders,
    pulled,
    written_badly,
    names,
)
