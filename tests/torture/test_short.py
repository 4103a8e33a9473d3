"""
The short form of `make torture`: the same scenarios, once each, without those that mount file
systems.
"""

from collections.abc import Iterator

import pytest

from tests.support.tools import need
from tests.torture.bench import Bench, Scenario
from tests.torture.scenarios import (
    brokers,
    exams,
    inboxes,
    kills,
    ledgers,
    modalities,
    twins,
    workers,
)

SHORT: tuple[tuple[Scenario, float], ...] = (
    (kills.at_every_step, 0.05),
    (kills.at_random, 0.01),
    (exams.in_any_order, 0.34),
    (modalities.killed_on_the_way, 0.006),
    (ledgers.damaged, 0.01),
    (workers.poison, 0.1),
    (twins.one_state, 0.1),
    (twins.one_inbox, 0.1),
    (twins.shared_subscription, 0.1),
    (inboxes.backpressure, 0.1),
    (inboxes.many, 0.01),
    (inboxes.written_badly, 0.1),
    (inboxes.names, 0.1),
    (brokers.absent_killed_restarted, 0.1),
    (brokers.session_lost, 0.1),
)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    need("mosquitto", "mosquitto")
    with Bench() as made:
        yield made


@pytest.mark.parametrize(
    ("scenario", "scale"), SHORT, ids=[scenario.__name__ for scenario, _ in SHORT]
)
def test_nothing_is_lost_and_nothing_has_two_ids(
    bench: Bench, scenario: Scenario, scale: float
) -> None:
    row = scenario(bench, scale)
    assert row.faults == []
    assert (row.lost, row.two_ids) == (0, 0)
    assert row.files > 0
    assert row.repetitions > 0
