"""The loop between two models, and what it tells of."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from edge.daemon.pipeline.dispatcher import Finished, Parts, Service
from edge.domain import Rejection
from edge.errors import Reason
from edge.health import Health
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Submission
from edge.storage.spool import Spool
from tests.support.pools import Pool, serving

IMAGE_ID = "a" * 64


@dataclass
class Bench:
    """A service with one image that waits."""

    service: Service
    ledger: Ledger
    pool: Pool


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    spool, pool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed"), Pool()
    film = spool.claimed / "m-film"
    film.write_bytes(b"film")
    ledger.submissions.accept(
        Submission(IMAGE_ID, film, b"film", "folder", 1.0, settled=False), "b"
    )
    service = Service(
        Parts(ledger, spool, Health(), cast("Any", None), 20.0), serving(pool), lambda: None
    )
    yield Bench(service, ledger, pool)
    ledger.close()


def test_an_image_that_hangs_with_the_model_before_goes_to_the_one_that_serves(
    bench: Bench,
) -> None:
    bench.service._turn()
    before, fresh = bench.pool, Pool()
    before.hangs = True
    bench.service.swap(serving(fresh))
    assert bench.service.overdue()
    bench.service._turn()
    assert not bench.service.overdue()
    bench.service._turn()
    bench.service._pause_until = 0.0  # a rest after the interruption
    bench.service._turn()
    assert (len(before.asked), before.closed, len(fresh.asked)) == (0, True, 1)


def test_a_truncated_file_that_is_looked_at_again_is_told_to_nobody_yet(bench: Bench) -> None:
    told: list[Finished] = []
    bench.service.observers.append(told.append)
    bench.service._turn()
    bench.pool.answer(Rejection(Reason.TRUNCATED, "ends early"))
    bench.service._turn()
    assert told == []
