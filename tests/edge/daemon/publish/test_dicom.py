"""The sink of reports: which files it names, and what becomes of a result that cannot be told."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from edge.contract.report_job import Answer, Job, Peer, Sent
from edge.daemon.publish import NothingToSendError, pacs
from edge.daemon.publish.courier import Courier
from edge.daemon.publish.dicom import DicomSink
from edge.daemon.publish.pacs import FAILURES
from edge.daemon.wiring.exam_maker import Maker
from edge.errors import Unavailable
from edge.health import Health
from edge.mqtt.errors import RefusedError
from edge.storage.ledger.exam_rows import ExamRules
from edge.storage.ledger.exam_sinks import DICOM, EXAM
from edge.storage.ledger.outbox import Delivery
from tests.support.exam_ledger import DEVICE, Site, add_all
from tests.support.reports import exam_result, rejected_image

PEER = Peer(aet="P", host="127.0.0.1", port=1, calling="M", tls=False, ca=None, cert=None, key=None)


class Script:
    """Answers jobs as it is told to, and keeps them."""

    def __init__(self, *answers: Sent) -> None:
        self.answers = list(answers)
        self.jobs: list[Job] = []

    def __call__(self, job: Job) -> Answer:
        self.jobs.append(job)
        return Answer(sent=self.answers.pop(0), why="so")

    def paths(self) -> list[Path]:
        originals = self.jobs[-1].originals
        return [Path(os.fsdecode(bytes.fromhex(path))) for path in originals.values()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path, ExamRules(Maker(DEVICE), sinks=(EXAM, DICOM)))
    yield made
    made.ledger.close()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacs, "PAUSES_S", (0.0,))


def prune(site: Site) -> None:
    """As retention does with files."""
    with site.ledger._database.transaction() as db:
        db.execute("UPDATE images SET kept = 0")


def only(site: Site) -> Delivery:
    (delivery,) = site.ledger.exam_reports.pending([DICOM])
    return delivery


def test_an_exam_is_told_with_its_images_results_and_their_files(site: Site) -> None:
    ids = add_all(site)
    script = Script(Sent.STORED)
    DicomSink(PEER, site.ledger, script).send(only(site))
    (job,) = script.jobs
    assert set(job.originals) == set(ids)
    assert all(path.exists() for path in script.paths())
    assert {one["image_id"] for one in job.of_images.values()} == set(ids)
    assert job.result == json.loads(only(site).payload)


def test_an_exam_that_is_taken_back_is_told_with_the_images_of_the_one_before(site: Site) -> None:
    ids = add_all(site)
    site.add("L", "CC", 0.2, patient="2" * 64, tail="other")
    site.later(10_000)
    first, second = site.ledger.exam_reports.pending([DICOM])
    assert json.loads(second.payload)["views"] == []
    script = Script(Sent.STORED)
    DicomSink(PEER, site.ledger, script).send(second)
    assert set(script.jobs[0].originals) == set(ids)
    assert first.sink == DICOM


def test_results_that_supersede_each_other_in_a_circle_hold_nobody_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a ledger may have that was filled from an archive into which somebody put them."""
    add_all(site)
    delivery, asked = only(site), []
    result = json.loads(delivery.payload) | {"views": [], "supersedes": "a", "outcome": "rejected"}

    def odd(result_id: str) -> bytes:
        asked.append(result_id)
        assert len(asked) < 10
        other = {"a": "b", "b": "a"}[result_id]
        return json.dumps({"views": [], "score": None, "supersedes": other}).encode()

    monkeypatch.setattr(site.ledger.queries, "result", odd)
    sink = DicomSink(PEER, site.ledger, Script())
    with pytest.raises(NothingToSendError, match="reports_without_score"):
        sink.send(replace(delivery, payload=json.dumps(result).encode()))
    assert sink._image_ids({"views": [], "supersedes": "a"}) == []


def test_a_courier_counts_what_it_sends_and_what_gets_no_report_and_keeps_neither(
    site: Site,
) -> None:
    for answer, counter in (
        (Sent.STORED, "delivered_dicom"),
        (Sent.NOT_DICOM, "reports_not_dicom"),
        (Sent.SEVERAL_STUDIES, "reports_several_studies"),
        (Sent.GONE, "reports_original_gone"),
    ):
        site.add("L", "CC", 0.2, study=f"{counter:0>64}"[-64:], tail=counter)
        site.add("L", "MLO", 0.3, study=f"{counter:0>64}"[-64:], tail=counter)
        site.later(0)
        site.later(10_000)
        if answer is Sent.GONE:
            prune(site)
        health = Health()
        sink = DicomSink(PEER, site.ledger, Script(answer))
        Courier(sink, site.ledger.exam_reports, health).turn()
        assert health.counters == {counter: 1}
        assert site.ledger.exam_reports.counts() == {}
    assert site.ledger.exam_outbox.counts() == {EXAM: {"waiting": 4, "held": 0}}


def test_a_forgotten_image_has_no_report_and_one_that_is_on_its_way_waits(site: Site) -> None:
    ids = add_all(site)
    delivery = only(site)

    def moved(_: Job) -> Answer:
        with site.ledger._database.transaction() as db:
            db.execute("UPDATE images SET path = ? WHERE image_id = ?", (b"/elsewhere", ids[0]))
        return Answer(sent=Sent.GONE)

    with pytest.raises(Unavailable, match="is being moved"):
        DicomSink(PEER, site.ledger, moved).send(delivery)
    site.ledger.erasure.erase([ids[0]], lambda _: None)
    with pytest.raises(NothingToSendError, match="reports_original_gone"):
        DicomSink(PEER, site.ledger, Script()).send(delivery)
    assert site.ledger.exam_reports.counts() == {}


@pytest.mark.usefixtures("no_pause")
def test_a_report_whose_image_never_reaches_the_archive_holds_no_other(site: Site) -> None:
    ids = add_all(site)
    with site.ledger._database.transaction() as db:
        db.execute("UPDATE images SET state = 'concluded' WHERE image_id = ?", (ids[0],))
    sink = DicomSink(PEER, site.ledger, Script(*[Sent.GONE] * FAILURES))
    for _ in range(FAILURES - 1):
        with pytest.raises(Unavailable, match="is being moved"):
            sink.send(only(site))
    with pytest.raises(RefusedError, match="is being moved"):
        sink.send(only(site))


@pytest.mark.usefixtures("no_pause")
def test_a_report_whose_images_are_on_a_mount_that_is_away_is_kept(site: Site) -> None:
    add_all(site)
    sink = DicomSink(PEER, site.ledger, Script(*[Sent.GONE] * FAILURES, Sent.STORED))
    for _ in range(FAILURES - 1):
        with pytest.raises(Unavailable, match="is its mount away"):
            sink.send(only(site))
    with pytest.raises(RefusedError, match="is its mount away"):
        sink.send(only(site))
    sink.send(only(site))


def test_a_rejection_that_takes_nothing_back_has_no_report(site: Site) -> None:
    payload = json.dumps(rejected_image()).encode()
    with pytest.raises(NothingToSendError, match="reports_without_score"):
        DicomSink(PEER, site.ledger, Script()).send(Delivery(1, DICOM, payload, None, None))


def test_a_pacs_that_failed_is_left_alone_for_a_while(site: Site) -> None:
    add_all(site)
    script = Script(Sent.UNAVAILABLE)
    sink = DicomSink(PEER, site.ledger, script)
    for _ in range(3):
        with pytest.raises(Unavailable, match="dicom: so"):
            sink.send(only(site))
    assert len(script.jobs) == 1


@pytest.mark.usefixtures("no_pause")
def test_what_the_pacs_refuses_or_fails_at_again_and_again_is_held_so_that_the_next_may_go(
    site: Site,
) -> None:
    add_all(site)
    sink = DicomSink(PEER, site.ledger, Script(Sent.REFUSED, *[Sent.FAILED] * FAILURES))
    with pytest.raises(RefusedError, match="so"):
        sink.send(only(site))
    for _ in range(FAILURES - 1):
        with pytest.raises(Unavailable, match="dicom: so"):
            sink.send(only(site))
    with pytest.raises(RefusedError, match="so"):
        sink.send(only(site))


def test_without_a_broker_nothing_waits_for_one(tmp_path: Path) -> None:
    site = Site(tmp_path, ExamRules(Maker(DEVICE), sinks=(DICOM,)))
    add_all(site)
    assert site.ledger.exam_outbox.counts() == {}
    assert site.ledger.exam_reports.counts() == {DICOM: {"waiting": 1, "held": 0}}
    site.ledger.close()


def test_an_exam_of_which_an_image_s_result_is_gone_has_no_report(site: Site) -> None:
    payload = json.dumps(exam_result()).encode()
    with pytest.raises(NothingToSendError, match="reports_original_gone"):
        DicomSink(PEER, site.ledger, Script()).send(Delivery(1, DICOM, payload, None, None))
