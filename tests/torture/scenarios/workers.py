"""
Torture by workers that hang, leak, crash or are killed, and by images that always do that to them.
"""

import time

from tests.support.rig import until
from tests.torture.bench import Bench, Row, scaled
from tests.torture.scenarios.brokers import finish
from tests.torture.site import Site

LIMITS = "[worker]\ntimeout_s = 3.0\nmemory_mb = 512\n"


def wait_for_answer(site: Site, image_id: str) -> None:
    until(
        lambda: image_id in {message["image_id"] for message in site.heard()},
        "answered",
        site.words,
    )


def poison(bench: Bench, scale: float) -> Row:
    """Send each kind of poison among good images."""
    row = Row(
        "images that hang, crash or exhaust every worker: two "
        "attempts, then poison; the queue goes on",
        scaled(10, scale),
    )
    for _ in range(row.repetitions):
        with bench.site(LIMITS) as site:
            site.ready()
            site.give_some(4, ("folder", "mqtt"))
            for word in (b"hang", b"crash", b"leak"):
                image_id = site.give(word + site.folder.name.encode(), scored=False, by="reply")
                site.give_some(2)
                wait_for_answer(site, image_id)
            site.faulted()
            site.recovered()
            given_up = [message for message in site.heard() if message["outcome"] == "rejected"]
            row.expect(
                all(message["gate"]["reasons"][0].startswith("poison") for message in given_up),
                "the reason is poison",
            )
            row.expect(site.status()["counters"]["worker_deaths"] == 6, "two attempts each")
            finish(row, site)
    return row


def killed(bench: Bench, scale: float) -> Row:
    """
    Kill workers by SIGKILL from outside; by the kernel itself: memory.py.

    Each kill costs an attempt, so no image gets two of them.
    """
    row = Row("workers killed by SIGKILL from outside, again and again", scaled(5, scale))
    for _ in range(row.repetitions):
        with bench.site() as site:
            site.ready()
            for _ in range(10):
                site.give_some(6, ("folder", "mqtt"), b"slow")
                time.sleep(0.15)
                site.kill_workers()
                site.recovered()
            finish(row, site)
    return row


SCENARIOS = (poison, killed)
