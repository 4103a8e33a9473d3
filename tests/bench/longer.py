"""
Measure memory over a backlog six times as long, with a stand-in for the model.

In a short run, memory that grows once looks like memory that goes on growing.
"""

import time
from typing import Final

from tests.bench.backlog import FLAT, HEAD, growth
from tests.bench.daemon import PATIENCE_S, memory_of
from tests.bench.page import Section, Target, table
from tests.bench.plan import Plan
from tests.bench.stats import figures
from tests.torture.bench import Bench
from tests.torture.durability import small
from tests.torture.site import Site

FILES: Final = 30_000
SAMPLE_S: Final = 0.5


def memory_over_a_longer_one(plan: Plan) -> Section:
    """Measure; returns the section with its table and target."""
    count = plan.times(FILES, 30)
    with Bench() as bench, bench.site() as site:
        for number, data in enumerate(small(count)):
            site.drop(f"{number}.dcm", data)
        start = time.monotonic()
        site.ready(stub=True)
        resident = _samples(site, count)
        took = time.monotonic() - start
        site.stop()
    change, later = growth(resident), growth(resident[len(resident) // 2 :])
    text = f"""{count} files of 1 kB lay in the inbox when the daemon started, one worker, a stand-in of 0.1 ms for the model: {took:.0f} s.
Resident MiB over the run, growth as above; the other figure is that of the second half alone.
Each arena of 1 MiB that Python takes is 2 % of a supervisor: a few thousand files do not tell that from a leak.

{table(HEAD, [["supervisor", figures(resident), f"{change:+.2%}", f"{later:+.2%}"]])}
"""
    limit = f"of the supervisor; {later:+.2%} over the second half"
    what = f"memory over a backlog of {count} files, a stand-in for the model"
    return Section(
        "A longer backlog",
        text,
        (Target(what, "flat to 1 %", f"{change:+.2%}", change <= FLAT, limit),),
    )


def _samples(site: Site, count: int) -> list[float]:
    """Sample the memory of the supervisor, in MiB, until all files are answered."""
    assert site.process is not None
    assert site.subscriber is not None
    samples, end, messages = [], time.monotonic() + PATIENCE_S, site.subscriber.messages
    while sum(message.topic.endswith("/result") for message in messages) < count:
        samples.append(memory_of(site.process.pid).resident)
        if time.monotonic() > end:
            msg = f"{count} files were not done within {PATIENCE_S:.0f} s\n{site.words()}"
            raise SystemExit(msg)
        time.sleep(SAMPLE_S)
    return [*samples, memory_of(site.process.pid).resident]
