"""
Torture by SIGKILL of supervisor, workers, or both: at every step of an image's life and at random
times.
"""

import random
import time

from tests.torture.bench import Bench, Row, scaled
from tests.torture.crashes import OF_EXAMS, POINTS
from tests.torture.site import Site

WAYS = ("folder", "mqtt", "reply")
OTHER_MOUNT = frozenset({"copied out of the inbox", "original removed, not noted"})
"""The points that a file passes that must be copied, because inbox and spool are two mounts."""
ON_ONE_MOUNT = [point for point in POINTS if point not in OTHER_MOUNT.union(OF_EXAMS)]
"""Points that a film comes to whose inbox, spool and archive lie on one mount."""


def kill_at(
    site: Site, point: str, nth: int, files: int, *, workers_too: bool, **changes: str
) -> bool:
    """
    Start a daemon that dies at a point, and give it something by which it comes there; returns True
    if it did.
    """
    site.start(crash=point, nth=nth, workers_too=workers_too, **changes)
    site.give_some(files, WAYS)
    if site.died():
        return True
    site.kill()
    return False


def at_every_step(bench: Bench, scale: float) -> Row:
    """Die at each named point of crashes.py, the supervisor alone and with its workers."""
    rounds = scaled(20, scale)
    row = Row("SIGKILL at every step, supervisor, or supervisor and workers", 0)
    missed: list[str] = []
    for turn in range(rounds):
        with bench.site() as site:
            site.introduced().stop()
            for place, point in enumerate(ON_ONE_MOUNT):
                reached = kill_at(
                    site, point, 1 + (turn + place) % 2, 4, workers_too=(turn + place) % 2 == 1
                )
                row.repetitions += reached
                missed += [] if reached else [point]
            site.faulted()
            site.ready()
            recovery = site.recovered()
            row.add(site.judged(), recovery)
    expect_reached(row, missed)
    return row


def expect_reached(row: Row, missed: list[str]) -> None:
    """Note a fault if daemons lived past more than a few of the points at which they die."""
    row.expect(
        len(missed) <= row.repetitions / 10,
        f"the points were come to; not to {sorted(set(missed))}",
    )


def at_random(bench: Bench, scale: float) -> Row:
    """Kill supervisor, worker or both at random times."""
    kills = scaled(680, scale, 4)
    row = Row("SIGKILL at random times: supervisor, worker, or both", kills)
    rng = random.Random(7)  # noqa: S311
    for start in range(0, kills, 20):
        with bench.site() as site:
            site.ready()
            for _ in range(min(20, kills - start)):
                site.give_some(2, WAYS)
                time.sleep(rng.random() * 0.4)
                who = rng.choice(("supervisor", "worker", "both"))
                if who in ("worker", "both"):
                    site.kill_workers()
                if who in ("supervisor", "both"):
                    site.kill()
                    site.start()
            site.faulted()
            recovery = site.recovered()
            row.add(site.judged(), recovery)
    return row


SCENARIOS = (at_every_step, at_random)
