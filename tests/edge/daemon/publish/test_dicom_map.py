"""The sink of maps: what is drawn and sent, once, and which results get none."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from errno import EACCES, EMFILE
from pathlib import Path
from typing import Any

import pytest

from edge.contract.report_job import Answer, Job, Peer, Sent
from edge.daemon.publish import NothingToSendError, pacs
from edge.daemon.publish.courier import Courier
from edge.daemon.publish.dicom_map import MapSink, Scored
from edge.daemon.publish.pacs import FAILURES
from edge.drawn import Capture
from edge.errors import InferenceError, Unavailable, UnreadableError
from edge.health import Cause, Health
from edge.mqtt.errors import RefusedError
from edge.storage.ledger.exam_sinks import DICOM_MAP
from edge.storage.ledger.outbox import Delivery
from edge.system import files
from tests.support.exam_ledger import B1, Site

PEER = Peer(aet="P", host="127.0.0.1", port=1, calling="M", tls=False, ca=None, cert=None, key=None)
SCORE = 0.25


@dataclass
class Studio:
    """Draws, and sends, as it is told to."""

    site: Site
    drawn: Any = field(default_factory=lambda: Capture(2, 3, b"pixels", SCORE))
    answers: list[Sent] = field(default_factory=lambda: [Sent.STORED])
    wanted: list[Scored] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)

    def draw(self, wanted: Scored) -> Capture | str:
        self.wanted.append(wanted)
        if isinstance(self.drawn, Exception):
            raise self.drawn
        found: Capture | str = self.drawn
        return found

    def ask(self, job: Job) -> Answer:
        self.jobs.append(job)
        return Answer(sent=self.answers.pop(0), why="so")

    @property
    def sink(self) -> MapSink:
        return MapSink(PEER, self.site.ledger, self.ask, self.draw)

    def delivery(self, raw: float | None = SCORE, form: str = "dicom") -> Delivery:
        """Take an image; its result is to be delivered."""
        self.site.add("L", "CC", raw)
        found = self.site.ledger.outbox.pending(["mqtt"])[-1]
        said = json.loads(found.payload)
        said["image"]["format"] = form
        return Delivery(found.seq, DICOM_MAP, json.dumps(said).encode(), None, None)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    site = Site(tmp_path)
    yield Studio(site)
    site.ledger.close()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacs, "PAUSES_S", (0.0,))


def nothing(studio: Studio, delivery: Delivery) -> str:
    """Send what has nothing to send; returns the counter."""
    with pytest.raises(NothingToSendError) as caught:
        studio.sink.send(delivery)
    return caught.value.counter


def test_a_map_is_drawn_of_its_file_with_its_bundle_and_sent(studio: Studio) -> None:
    delivery = studio.delivery()
    studio.sink.send(delivery)
    (wanted,), (job,) = studio.wanted, studio.jobs
    result = json.loads(delivery.payload)
    assert (wanted.image_id, wanted.result_id) == (result["image_id"], result["result_id"])
    assert wanted.bundle_id == B1
    assert wanted.path.exists()
    assert job.result == result
    assert set(job.originals) == {wanted.image_id}
    assert job.picture is not None
    assert (job.picture.rows, job.picture.columns, job.picture.pixels) == (2, 3, "cGl4ZWxz")


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("answer", [Sent.UNAVAILABLE, Sent.FAILED])
def test_a_map_that_the_pacs_did_not_take_is_not_drawn_again(answer: Sent, studio: Studio) -> None:
    studio.answers = [answer, Sent.STORED]
    delivery, sink = studio.delivery(), studio.sink
    with pytest.raises(Unavailable, match="so"):
        sink.send(delivery)
    sink.send(delivery)
    assert (len(studio.wanted), len(studio.jobs)) == (1, 2)
    assert studio.jobs[0] == studio.jobs[1]


def test_what_is_no_dicom_or_has_no_score_is_not_drawn(studio: Studio) -> None:
    assert nothing(studio, studio.delivery(form="png")) == "maps_not_dicom"
    assert nothing(studio, studio.delivery(None)) == "maps_without_score"
    assert studio.wanted == []


@pytest.mark.parametrize("why", ["not_pointing", "model_gone", "not_drawn"])
def test_a_result_without_a_map_is_counted(why: str, studio: Studio) -> None:
    studio.drawn = why
    assert nothing(studio, studio.delivery()) == f"maps_{why}"
    assert studio.jobs == []


def test_a_map_that_shows_another_score_than_the_result_is_not_sent(studio: Studio) -> None:
    studio.drawn = Capture(2, 3, b"pixels", SCORE + 0.001)
    assert nothing(studio, studio.delivery()) == "maps_of_another_score"
    assert studio.jobs == []


def test_a_pruned_or_forgotten_image_has_no_map(studio: Studio) -> None:
    delivery = studio.delivery()
    image_id = json.loads(delivery.payload)["image_id"]
    path = studio.site.ledger.images.path_of(image_id)
    assert path is not None
    path.unlink()
    with studio.site.ledger._database.transaction() as db:
        db.execute("UPDATE images SET kept = 0")
    studio.drawn = UnreadableError("cannot be read")
    assert nothing(studio, delivery) == "maps_original_gone"
    studio.site.ledger.erasure.erase([image_id], lambda _: None)
    assert nothing(studio, delivery) == "maps_original_gone"


def held_in_the_end(studio: Studio, delivery: Delivery, why: str) -> None:
    """Send a map, for the same reason in vain, until it is held."""
    sink = studio.sink
    for _ in range(FAILURES - 1):
        with pytest.raises(Unavailable, match=why):
            sink.send(delivery)
    with pytest.raises(RefusedError, match=why):
        sink.send(delivery)


@pytest.mark.usefixtures("no_pause")
def test_a_file_that_is_away_though_it_is_kept_waits_and_is_held_in_the_end(
    studio: Studio,
) -> None:
    delivery = studio.delivery()
    path = studio.site.ledger.images.path_of(json.loads(delivery.payload)["image_id"])
    assert path is not None
    path.unlink()
    studio.drawn = UnreadableError("cannot be read")
    held_in_the_end(studio, delivery, "is its mount away")


@pytest.mark.usefixtures("no_pause")
def test_a_file_that_may_not_be_read_holds_its_map_alone(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:  # as root may read all
        raise PermissionError(EACCES, os.strerror(EACCES))

    monkeypatch.setattr(files, "open_regular", refuse)
    delivery = studio.delivery()
    studio.drawn = UnreadableError("the image file cannot be read")
    held_in_the_end(studio, delivery, "cannot be read")


@pytest.mark.usefixtures("no_pause")
def test_a_worker_that_dies_again_and_again_holds_its_map_alone(studio: Studio) -> None:
    studio.drawn = InferenceError("worker ended by SIGKILL")
    delivery = studio.delivery()
    held_in_the_end(studio, delivery, "could not be drawn: worker ended by SIGKILL")


@pytest.mark.usefixtures("no_pause")
def test_a_map_that_the_worker_gives_back_again_and_again_is_held_alone(studio: Studio) -> None:
    """As where the disk reads the beginning of its file alone."""
    studio.drawn = UnreadableError("the image file cannot be read")
    delivery = studio.delivery()
    held_in_the_end(studio, delivery, "cannot be read")


@pytest.mark.usefixtures("no_pause")
def test_for_want_of_descriptors_all_maps_wait_and_none_is_held(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(EMFILE, os.strerror(EMFILE))

    monkeypatch.setattr(files, "open_regular", refuse)
    studio.drawn = UnreadableError("the image file cannot be read")
    delivery, sink = studio.delivery(), studio.sink
    for _ in range(2 * FAILURES):
        with pytest.raises(Unavailable, match="cannot be read"):
            sink.send(delivery)


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("why", ["the daemon ends", "no worker came up", "pool stopped"])
def test_a_worker_that_cannot_work_now_is_waited_for_and_no_map_is_held(
    why: str, studio: Studio
) -> None:
    studio.drawn = Unavailable(why)
    delivery, sink = studio.delivery(), studio.sink
    for _ in range(2 * FAILURES):
        with pytest.raises(Unavailable, match=why):
            sink.send(delivery)


def test_maps_wait_under_a_code_of_their_own(studio: Studio) -> None:
    ledger, health = studio.site.ledger, Health()
    studio.delivery()
    with ledger._database.transaction() as db:
        said = "UPDATE results SET payload = CAST(replace(CAST(payload AS TEXT), ?, ?) AS BLOB)"
        db.execute(said, ('"view": "CC"', '"format": "dicom"'))
        db.execute("UPDATE outbox SET sink = ?", (DICOM_MAP,))
    studio.answers = [Sent.UNAVAILABLE]
    courier = Courier(studio.sink, ledger.outbox, health)
    courier.turn()
    assert health.reasons_and_causes() == [("dicom: so", Cause.MAPS_UNAVAILABLE)]
    assert ledger.outbox.counts() == {DICOM_MAP: {"waiting": 1, "held": 0}}
    studio.answers = [Sent.STORED]
    Courier(studio.sink, ledger.outbox, health).turn()
    assert health.counters == {"delivered_dicom_map": 1}
    assert ledger.outbox.counts() == {}
