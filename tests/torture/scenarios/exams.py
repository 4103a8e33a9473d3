"""Torture of exams: the views of a study in every order, with kills at every step between."""

import json
import random
import time
from itertools import permutations
from typing import Final

from tests.support.exams import FOUR, bundle_with_breasts
from tests.support.rig import until
from tests.torture.bench import Bench, Row, scaled
from tests.torture.crashes import OF_EXAMS
from tests.torture.exam_oracle import faults_of
from tests.torture.site import Site
from tests.torture.stub import VIEW

WAYS: Final = ("folder", "mqtt")
OTHERS: Final = ("worker is done, not recorded", "outcome recorded", "image filed, not noted")
"""Steps of an image's life at which its exam is at stake, too."""


def view(study: int, side: str, position: str, site: Site) -> bytes:
    """Make a file that the stub of a model takes for one view of a study."""
    said = {"study": f"{site.folder} {study}", "side": side, "view": position}
    return VIEW + json.dumps(said).encode() + b"\n"


def in_any_order(bench: Bench, scale: float) -> Row:
    """Give four views in 24 orders, each study with two kills at named points or at random."""
    orders = list(permutations(FOUR))
    rng = random.Random(11)  # noqa: S311
    rng.shuffle(orders)
    orders = orders[: scaled(len(orders), scale, 4)]
    points = [*OF_EXAMS, *OTHERS]
    row = Row("four views of a study in any order, SIGKILL at every step of their exam", 0)
    with bench.site(f'[model]\nbundle = "{bundle_with_breasts(bench.new_folder())}"\n') as site:
        site.introduced().stop()
        studies = []
        for number, order in enumerate(orders):
            point = points[number % len(points)]
            site.start(crash=point, nth=1, workers_too=number % 2 == 1)
            given = [_give(site, number, *place, rng) for place in order[:3]]
            if point not in OF_EXAMS:
                row.repetitions += site.died()
                site.start()
            given.append(_give(site, number, *order[3], rng))
            if point in OF_EXAMS:
                row.repetitions += site.died()
            elif rng.random() < 0.5:
                time.sleep(rng.random() * 0.2)
                site.kill()
                row.repetitions += 1
            if site.running:
                site.kill()
            studies.append(frozenset(given))
        site.faulted()
        site.ready()
        recovery = site.recovered()
        until(lambda: len(_heard(site)) >= len(studies), "an exam of each study", site.words)
        row.add(site.judged(), recovery)
        row.faults += faults_of(studies, _heard(site), site.states[0])
        row.expect(row.repetitions >= len(orders) * 0.8, "the points were come to")
    return row


def _give(site: Site, study: int, side: str, position: str, rng: random.Random) -> str:
    return site.give(view(study, side, position, site), by=rng.choice(WAYS))


def _heard(site: Site) -> list[dict[str, object]]:
    assert site.subscriber is not None
    return site.subscriber.under("exam")


SCENARIOS = (in_any_order,)
