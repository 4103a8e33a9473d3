"""From a study to a report in a PACS, also if the daemon is killed before it hears the answer."""

import threading
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.exams import FOUR, MARKER, Study, bundle_with_breasts
from tests.support.films import written
from tests.support.reports import PACS, Pacs, said
from tests.support.rig import PATIENCE_S, Rig, until


def test_a_killed_daemon_sends_the_same_report_again_and_a_report_that_comes_back_is_rejected(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    killed = threading.Event()

    def answer() -> int:
        killed.wait(PATIENCE_S)  # nobody hears the first
        return 0

    pacs, study = Pacs(answer), Study("one")
    with pacs.listening() as port:
        config = (
            f'[model]\nbundle = "{bundle_with_breasts(tmp_path)}"\n'
            f'[pacs]\npeer = "{PACS}@127.0.0.1:{port}"\n'
        )
        with Rig(tmp_path / "edge", mosquitto.port, subscriber, config) as rig:
            for side, view in FOUR:
                film = study.film(side, view, SeriesInstanceUID="1.2.3")
                rig.drop(f"{MARKER}-{side}-{view}.dcm", film)
            until(pacs.came.is_set, "a report", rig.words)
            rig.kill()
            killed.set()
            rig.ready()
            until(lambda: len(pacs.received) > 1, "the report again", rig.words)
            until(rig.settled, "settled", rig.words)
            first, again = pacs.received[:2]
            assert first == again
            assert (first.PatientID, first.StudyInstanceUID) == (MARKER, study.uid)
            assert len([one for one in said(first) if one[0] == "Probability of cancer"]) == 6

            rig.drop("report.dcm", written(first, ExplicitVRLittleEndian))
            until(lambda: rejections(subscriber), "a rejection", rig.words)
            until(rig.settled, "settled", rig.words)
            assert rig.status()["exams"]["waiting"] == 0
            assert rejections(subscriber) == ["not a mammogram"]
            assert {one.SOPInstanceUID for one in pacs.received} == {first.SOPInstanceUID}
            until(lambda: subscriber.under("exam"), "the exam", rig.words)
            assert {one["revision"] for one in subscriber.under("exam")} == {1}
            until(lambda: delivered(rig) == 1, "counted", rig.words)
            told = [rig.log.read_bytes(), *(one.payload for one in subscriber.messages)]
            told += [(rig.folder / "state/audit.jsonl").read_bytes()]
            assert [one for one in told if MARKER[:16].encode() in one] == []


def delivered(rig: Rig) -> int:
    counted: int = rig.status()["counters"].get("delivered_dicom", 0)
    return counted


def rejections(subscriber: Subscriber) -> list[str]:
    return [
        reason.partition(":")[0]
        for one in subscriber.under("result")
        for reason in one["gate"]["reasons"]
        if one["outcome"] == "rejected"
    ]
