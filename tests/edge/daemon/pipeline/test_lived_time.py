"""A duration that is published is time that has passed, whatever becomes of the clock meanwhile."""

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import generate_latest

from edge.contract.render import readdress
from edge.daemon.intake import CLOSED
from edge.daemon.pipeline.admission import Sender
from edge.daemon.telemetry.metrics import HealthMetrics
from edge.daemon.workers.serving import Serving
from edge.domain import Rejection
from edge.errors import Reason
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.storage.claim import Claim
from edge.storage.ledger import Ledger
from edge.storage.spool import Spool
from tests.support.hands import Hands
from tests.support.pipeline import Line, folders_of, line_of, parts_of
from tests.support.pools import Pool

YEARS_S = 56 * 365 * 86400.0
FILM = b"film"
IMAGE_ID = hashlib.sha256(FILM).hexdigest()
STEPS = pytest.mark.parametrize("step_s", [YEARS_S, -YEARS_S], ids=["ahead", "back"])


@dataclass
class Device:
    """A daemon that is started again and again; its threads are the test's."""

    folder: Path
    hands: Hands
    ledger: Ledger
    line: Line
    pool: Pool
    numbers: HealthMetrics

    def take(self, name: str = "film") -> None:
        path = self.folder / "inbox" / name
        path.write_bytes(FILM)
        self.line.reception(folders_of(self.folder)).take_file(path, quiet=CLOSED)

    def turn(self) -> None:
        self.line.dispatcher._turn()

    def answer(self) -> None:
        self.pool.answer(Rejection(Reason.EMPTY, "no bytes"))

    def heard(self) -> dict[str, Any]:
        """The last result."""
        pending = list(self.ledger.outbox.pending(["mqtt"]))
        message: dict[str, Any] = json.loads(pending[-1].payload)
        return message

    def durations(self) -> tuple[float, float]:
        timing = self.heard()["timing_ms"]
        return timing["wait"], timing["total"]

    def restart(self) -> None:
        self.ledger.close()
        self.ledger, self.line, self.pool, self.numbers = _started(self.folder)
        self.turn()


def _started(folder: Path) -> tuple[Ledger, Line, Pool, HealthMetrics]:
    ledger = Ledger(folder / "state", ["mqtt"], readdress)
    spool, pool = Spool(folder / "spool", folder / "done", folder / "failed"), Pool()
    numbers = HealthMetrics(dict)
    parts = parts_of(ledger, spool, Serving(verify(shipped_bundle()), cast("Any", pool)))
    return ledger, line_of(parts, [numbers.observe]), pool, numbers


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    (tmp_path / "inbox").mkdir()
    hands = Hands(tmp_path, monkeypatch)
    made = Device(tmp_path, hands, *_started(tmp_path))
    made.ledger.clock.tick(time.time)
    made.turn()
    yield made
    made.ledger.close()


@STEPS
@pytest.mark.parametrize("noted", [True, False], ids=["seen by retention", "not seen yet"])
def test_a_clock_that_is_set_while_a_film_waits_moves_no_duration(
    device: Device, step_s: float, *, noted: bool
) -> None:
    device.take()
    device.hands.live(3)
    device.hands.date = max(0.0, device.hands.date + step_s)
    if noted:
        device.ledger.clock.tick(time.time)
    device.hands.live(2)
    device.turn()
    device.hands.live(1)
    device.answer()
    device.turn()
    assert device.durations() == (5000, 6000)


@STEPS
def test_a_clock_that_is_set_while_a_worker_has_a_film_moves_no_duration_nor_the_metrics(
    device: Device, step_s: float
) -> None:
    device.take()
    device.hands.live(2)
    device.turn()
    device.hands.date = max(0.0, device.hands.date + step_s)
    device.ledger.clock.tick(time.time)
    device.hands.live(4)
    device.answer()
    device.turn()
    assert device.durations() == (2000, 6000)
    name = "mammo_edge_examine_seconds_sum"
    said = generate_latest(device.numbers.registry.restricted_registry([name])).decode()
    assert f"{name} 4.0" in said.splitlines()


def test_sleep_of_the_machine_counts_as_it_passes_for_whoever_waits(device: Device) -> None:
    device.take()
    device.hands.live(3600)  # it went to sleep, and both clocks went on
    device.turn()
    device.answer()
    device.turn()
    assert device.durations() == (3_600_000, 3_600_000)


@STEPS
def test_a_film_that_an_earlier_process_of_this_boot_took_has_waited_since_it_came(
    device: Device, step_s: float
) -> None:
    device.hands.live(1)
    came = device.hands.date
    device.take()
    with device.ledger._database.transaction() as db:  # by the clock of the test
        db.execute("UPDATE images SET received_at = ?", (came,))
    device.hands.live(10)
    device.hands.date = max(0.0, device.hands.date + step_s)  # while the daemon is down
    device.restart()
    device.hands.live(2)
    device.answer()
    device.turn()
    assert device.durations() == (10_000, 12_000)


@STEPS
def test_a_clock_that_is_set_while_a_film_is_hashed_dates_it_right(
    device: Device, step_s: float
) -> None:
    """It is recorded after all rows were moved along, and by the date before."""
    path = device.folder / "spool" / "claimed" / "m-film"
    path.write_bytes(FILM)
    claim = Claim(path, b"film", IMAGE_ID)
    device.hands.live(3)
    device.hands.date = max(0.0, device.hands.date + step_s)
    device.ledger.clock.tick(time.time)
    device.line.admission.record(claim, Sender("folder"))
    assert device.ledger.queries.summary()["oldest_waiting_s"] == 3
    device.hands.live(2)
    device.restart()
    device.answer()
    device.turn()
    assert device.durations() == (5000, 5000)


def test_an_image_that_is_examined_again_waits_since_it_was_asked_for(device: Device) -> None:
    device.take()
    device.turn()
    device.answer()
    device.turn()
    device.hands.live(500)
    device.ledger.submissions.retry([IMAGE_ID])
    device.hands.date += YEARS_S
    device.hands.live(5)
    device.turn()
    device.answer()
    device.turn()
    assert device.durations() == (5000, 5000)


def test_a_film_that_lost_its_copy_in_the_archive_waits_since_it_was_taken_up_again(
    device: Device,
) -> None:
    device.take()
    device.turn()
    device.answer()
    device.turn()
    image = device.ledger.images.find(IMAGE_ID)
    assert image is not None
    image.path.unlink()
    device.hands.live(500)
    with device.ledger._database.reading() as db:
        (claim,) = db.execute("SELECT claim FROM submissions").fetchone()
    path = device.folder / "spool" / "claimed" / claim
    path.write_bytes(FILM)
    assert device.ledger.submissions.adopt(path)
    image = device.ledger.images.find(IMAGE_ID)
    assert image is not None
    assert image.received_at == device.hands.date
    assert device.ledger.arrivals.of(IMAGE_ID) == device.hands.run_s
