"""The loop between two models, and what it tells of."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edge.daemon.pipeline import given_back
from edge.daemon.pipeline.examination import Examination
from edge.domain import Rejection
from edge.errors import Reason
from edge.storage.ledger import Ledger
from edge.storage.ledger.records import Submission
from edge.storage.spool import Spool
from tests.support.pipeline import Line, line_of, parts_of
from tests.support.pools import Pool, serving

IMAGE_ID = hashlib.sha256(b"film").hexdigest()


@dataclass
class Bench:
    """A pipeline with one image that waits."""

    line: Line
    pool: Pool
    told: list[Examination]

    def turn(self) -> None:
        self.line.dispatcher._turn()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    ledger = Ledger(tmp_path / "state", ["mqtt"], lambda payload, _: payload)
    spool, pool = Spool(tmp_path / "spool", tmp_path / "done", tmp_path / "failed"), Pool()
    film = spool.claimed / "m-film"
    film.write_bytes(b"film")
    ledger.submissions.accept(
        Submission(IMAGE_ID, film, b"film", "folder", 1.0, settled=False), "b"
    )
    told: list[Examination] = []
    yield Bench(line_of(parts_of(ledger, spool, serving(pool)), [told.append]), pool, told)
    ledger.close()


def test_an_image_that_hangs_with_the_model_before_goes_to_the_one_that_serves(
    bench: Bench,
) -> None:
    bench.turn()
    before, fresh = bench.pool, Pool()
    before.hangs = True
    model = bench.line.parts.model
    model.swap(serving(fresh))
    assert model.overdue()
    bench.turn()
    assert not model.overdue()
    bench.turn()
    bench.line.dispatcher._pause_until = 0.0  # a rest after the interruption
    bench.turn()
    assert (len(before.asked), before.closed, len(fresh.asked)) == (0, True, 1)


def test_a_truncated_file_that_is_looked_at_again_is_told_to_nobody_yet(bench: Bench) -> None:
    bench.turn()
    bench.pool.answer(Rejection(Reason.TRUNCATED, "ends early"))
    bench.turn()
    assert bench.told == []


def test_an_outcome_that_cannot_be_recorded_and_an_observer_that_fails_end_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> Any:  # noqa: ANN401
        raise KeyError

    ledger, recorder = bench.line.parts.ledger, bench.line.recorder
    bench.turn()
    record = recorder.record
    monkeypatch.setattr(recorder, "record", explode)
    bench.pool.answer(Rejection(Reason.EMPTY, "no bytes"))
    bench.turn()
    blamed = ledger.images.find(IMAGE_ID)
    assert blamed is not None
    assert blamed.attempts == 1
    assert bench.line.parts.health.counters["records_failed"] == 1
    monkeypatch.setattr(recorder, "record", record)
    monkeypatch.setattr(bench, "told", None)
    given_back.show(explode, bench_examination(bench), bench.line.parts.health)
    assert bench.line.parts.health.counters["loop_failures"] == 1


def bench_examination(bench: Bench) -> Examination:
    image = bench.line.parts.ledger.images.find(IMAGE_ID)
    assert image is not None
    verdict = Rejection(Reason.EMPTY, "no bytes")
    return Examination(image, bench.line.parts.model.serving, 0.0, 0.0, verdict)
