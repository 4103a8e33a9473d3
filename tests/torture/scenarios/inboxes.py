"""Torture by inboxes that overflow or are written badly, and by odd names."""

import contextlib
import itertools
import os
import signal
import threading

from tests.support.rig import copy_slowly, sha256, until
from tests.torture.bench import Bench, NotHereError, Row, scaled
from tests.torture.scenarios.brokers import finish, rss_mb
from tests.torture.scenarios.disks import reasons


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
    written_badly,
    names,
)
