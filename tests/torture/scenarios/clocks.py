"""Torture by clocks: those of devices without a battery, which start in the past, and jumps."""

import contextlib
import sqlite3
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.storage.ledger.database import FILE
from tests.support.rig import sha256, until
from tests.torture.bench import Bench, Row, scaled
from tests.torture.scenarios.brokers import finish
from tests.torture.site import Site
from tests.torture.stub import BAD
from tests.torture.wall_clock import StepClock

DAY_S = 86400.0
TWO_YEARS_S = 2 * 365 * DAY_S
SINCE_1970, MONTHS = "1970", "120 days ago"
WAYS = ("folder", "mqtt", "reply")
KEEP = "[retention]\nfailed_days = 0.02\ndone_days = 0.04\nresults_days = 0.06\n"
"""Days that all a run does is younger than, and that any jump of the clock is longer than."""
NEAR_S = 3600.0
"""Seconds by which a date may be off and still be meant."""
CASES = ((SINCE_1970, False), (MONTHS, True), (SINCE_1970, True), (MONTHS, False))
"""The beginning of a clock that is set later; true if it is set while the daemon is down."""


def stepped(bench: Bench, scale: float) -> Row:
    """Let the clock jump two years ahead and back while files come; nothing is pruned by it."""
    row = Row("clock stepped by +2 years and back, three times, with kills", scaled(4, scale))
    for _ in range(row.repetitions):
        with bench.site() as site:
            clock = StepClock(site.folder)
            site.introduced(**of(clock))
            for step in (TWO_YEARS_S, 0, TWO_YEARS_S, 0, TWO_YEARS_S, 0):
                site.give_some(3, WAYS)
                clock.step(step)
                site.give_some(3, WAYS)
                site.recovered()
                site.kill()
                site.ready(**of(clock))
            finish(row, site)
            row.expect(
                all(message["timing_ms"]["total"] < NEAR_S * 1e3 for message in site.heard()),
                "durations are time that has passed, whatever becomes of the clock",
            )
    row.note = (
        "the daemon's `time.time` is stepped: under libfaketime, "
        "stepped while it runs, Python's own `sleep` fails"
    )
    return row


def without_battery(bench: Bench, scale: float) -> Row:
    """
    Start in the past, work, be killed, and have the clock set; again after a power cut; then let
    days pass.
    """
    row = Row(
        "a device without a battery starts in 1970, or 120 days ago, twice; its clock is set while "
        "the daemon runs, or is down; short retention",
        scaled(4, scale),
    )
    for turn in range(row.repetitions):
        begins, down = CASES[turn % len(CASES)]
        with bench.site(KEEP) as site:
            clock = StepClock(site.folder)
            begin(clock, begins)
            site.introduced(**of(clock))
            site.give(again := f"film of {site.folder}".encode())
            work(site)
            site.give_some(3, WAYS)
            site.kill()
            site.ready(**of(clock))
            site.recovered()
            tell_the_past(row, site, clock, begins)
            undelivered = have_undelivered(site)
            set_clock(site, clock, down=down)
            until(lambda: oldest_s(site) < NEAR_S, "undelivered is as old as it is", site.words)
            site.broker.start()
            work(site)
            site.kill()
            clock.power_cut()
            begin(clock, begins)
            site.ready(**of(clock))
            work(site)
            set_clock(site, clock, down=not down)
            work(site)
            site.give(again)
            finish_and_look_on(row, site, clock)
            told_of = [message for message in site.heard() if message["image_id"] in undelivered]
            row.expect(
                all(abs(date(message) - clock.date()) > 100 * DAY_S for message in told_of),
                "a result has the date of the clock by which it was made, whenever it is sent",
            )
    return row


def of(clock: StepClock) -> dict[str, Any]:
    """Return the request for a daemon that runs by a clock, and soon removes what is old."""
    return {"clock": str(clock.file), "boot": str(clock.boot), "prune_soon": True}


def begin(clock: StepClock, begins: str) -> None:
    clock.step(-time.time() if begins == SINCE_1970 else -120 * DAY_S)


def set_clock(site: Site, clock: StepClock, *, down: bool) -> None:
    """Set the clock right, while the daemon runs or is down."""
    if down:
        site.kill()
    clock.step(0)
    if down:
        site.ready(**of(clock))


def work(site: Site) -> None:
    """Give films by all ways, one of them bad, and wait for their results."""
    site.give_some(6, WAYS)
    site.give(BAD + f" {len(site.accepted)} {site.folder}".encode(), scored=False, by="reply")
    site.recovered()


def tell_the_past(row: Row, site: Site, clock: StepClock, begins: str) -> None:
    """Expect that everything is told by the clock as it is, and that `info` tells if it is off."""
    row.expect(
        all(abs(date(message) - clock.date()) < NEAR_S for message in site.heard()),
        "results have the date of the clock by which they are made",
    )
    assert site.subscriber is not None
    told = site.subscriber.last("info")["clock"]["synchronised"]
    row.expect(told is (False if begins == SINCE_1970 else None), f"info: synchronised {told}")


def have_undelivered(site: Site) -> set[str]:
    """Stop the broker, and wait until films are examined that nobody hears of; returns them."""
    site.broker.stop()
    done, known = site.status()["queue"]["archived"], set(site.accepted)
    site.give_some(3)
    until(lambda: site.status()["queue"]["archived"] == done + 3, "examined", site.words)
    return set(site.accepted) - known


def oldest_s(site: Site) -> float:
    return float(site.status()["queue"]["oldest_undelivered_s"] or 0.0)


def date(message: dict[str, Any]) -> float:
    return datetime.fromisoformat(message["completed_at"]).timestamp()


def finish_and_look_on(row: Row, site: Site, clock: StepClock) -> None:
    """Judge, then let days pass: what has its age goes, and nothing else."""
    finish(row, site)
    old = {image_id for image_id, scored in site.accepted.items() if scored}
    last = max(message["seq"] for message in site.heard())
    clock.live(0.03 * DAY_S)
    site.ready(**of(clock))
    until(lambda: not ids_in(site.failed), "rejected films go after their days", site.words)
    row.expect(ids_in(site.done) == old, "no scored film goes before its days")
    row.expect(recorded(site) >= old, "no result goes before its days")
    site.give_some(3, WAYS)
    site.recovered()
    young = set(site.accepted) - old
    young = {image_id for image_id in young if site.accepted[image_id]}
    clock.live(0.035 * DAY_S)
    until(lambda: not ids_in(site.done) & old, "scored films go after their days", site.words)
    until(lambda: not recorded(site) & old, "results go after their days", site.words)
    site.stop()
    row.expect(ids_in(site.done) == young == recorded(site), "what came later stays")
    numbers = {message["seq"] for message in site.heard() if message["image_id"] in young}
    row.expect(min(numbers) > last, "no number is given again")


def ids_in(folder: Path) -> set[str]:
    """Return the ids of the images in a folder of the archive, from which they may go meanwhile."""
    found = set()
    for path in folder.iterdir():
        if path.suffix != ".json":
            with contextlib.suppress(FileNotFoundError):
                found.add(sha256(path.read_bytes()))
    return found


def recorded(site: Site) -> set[str]:
    """Return the ids of the images of which the ledger has an outcome."""
    return set(read(site, "SELECT image_id FROM outcomes"))


def read(site: Site, query: str) -> Iterable[str]:
    (state,) = site.states
    db = sqlite3.connect(f"{(state / FILE).as_uri()}?mode=ro", uri=True)
    try:
        return [value for (value,) in db.execute(query)]
    finally:
        db.close()


SCENARIOS = (stepped, without_battery)
