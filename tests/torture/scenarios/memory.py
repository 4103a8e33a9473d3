"""
Torture by the kernel's own OOM killer, in a memory cgroup of one's own: of workers, and of the
supervisor.
"""

from tests.support.rig import until
from tests.torture.bench import Bench, Row, scaled
from tests.torture.cgroup import MemoryGroup
from tests.torture.scenarios.brokers import finish
from tests.torture.scenarios.workers import wait_for_answer
from tests.torture.site import Site
from tests.torture.stub import GREEDY, GREEDY_MB, LEAK

AMPLE = "[worker]\nmemory_mb = 1024\n"
"""So much address space that the kernel comes first; if it does not come, the machine lives on."""
ROOM_MB = GREEDY_MB // 2
"""Room for new workers, two or three, but not for a film that hoards."""
WAYS = ("folder", "mqtt", "reply")
LARGE_MB = 16
"""Size of the requests for which there is no room in a supervisor."""


def workers(bench: Bench, scale: float) -> Row:
    """Have the kernel kill workers: some films hoard each time, one has room at its second try."""
    row = Row(
        "the kernel's OOM killer ends workers, supervisor beside them in one cgroup: who hoards "
        "each time is poison, who has room the second time is scored",
        scaled(6, scale),
    )
    for _ in range(row.repetitions):
        with MemoryGroup() as group, bench.site(AMPLE) as site:
            site.introduced()
            assert site.process is not None
            supervisor = site.process.pid
            group.take([supervisor, *site.workers()])
            group.limit(ROOM_MB)
            hoarders = [hoard(site, way) for way in ("reply", "folder")]
            row.expect(group.kills == 4, f"two kills for each hoarder, not {group.kills} in all")
            greedy = site.give(GREEDY + site.folder.name.encode(), by="folder")
            until(lambda: group.kills > 4, "a fifth kill", site.words)
            group.lift()
            site.give_some(3, WAYS)
            wait_for_answer(site, greedy)
            row.expect(group.kills == 5, f"one kill for the last, not {group.kills - 4}")
            deaths = site.status()["counters"]["worker_deaths"]
            row.expect(deaths == group.kills, f"{deaths} deaths are counted of {group.kills}")
            row.expect(site.running and site.process.pid == supervisor, "the supervisor lives on")
            site.faulted()
            finish(row, site)
            row.expect(poisoned(site) == set(hoarders), "the hoarders, and they alone, are poison")
    return row


def hoard(site: Site, way: str) -> str:
    """Send a film that hoards among good ones, and wait for its answer; returns its id."""
    site.give_some(2, WAYS)
    image_id = site.give(f"{LEAK.decode()} {way} {site.folder}".encode(), scored=False, by=way)
    site.give_some(3, WAYS)
    wait_for_answer(site, image_id)
    return image_id


def poisoned(site: Site) -> set[str]:
    """Return the images that were rejected, all of them as poison."""
    rejected = [message for message in site.heard() if message["outcome"] == "rejected"]
    return {
        message["image_id"]
        for message in rejected
        if message["gate"]["reasons"][0].startswith("poison")
    }


def supervisor(bench: Bench, scale: float) -> Row:
    """Have the kernel kill the supervisor, in the midst of large requests, and start it again."""
    row = Row(
        "the kernel's OOM killer ends the supervisor, alone in a cgroup without room; started "
        "again without",
        scaled(6, scale),
    )
    for turn in range(row.repetitions):
        with MemoryGroup() as group, bench.site(AMPLE) as site:
            site.introduced()
            assert site.process is not None
            site.give_some(3, WAYS, b"slow")
            group.take([site.process.pid])
            group.limit(1 + turn)
            for number in range(3):
                large = f"large {number} {site.folder} ".encode().ljust(LARGE_MB * 2**20, b".")
                site.give(large, by=WAYS[1 + number % 2])
            site.give_some(3, ("folder",))
            row.expect(site.died(), "the supervisor died")
            row.expect(group.kills == 1, f"the kernel killed it, and nothing else: {group.kills}")
            site.faulted()
            site.ready()
            finish(row, site)
            row.expect(not poisoned(site), "one death of the supervisor makes no poison")
    return row


SCENARIOS = (workers, supervisor)
