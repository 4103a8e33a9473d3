"""From a study to a report in a PACS, also if the daemon is killed before it hears the answer."""

import socket
from pathlib import Path

from pydicom.uid import ExplicitVRLittleEndian

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from tests.support.exams import FOUR, MARKER, Study, bundle_with_breasts
from tests.support.films import written
from tests.support.reports import PACS, HeldPacs, Pacs, said
from tests.support.rig import PATIENCE_S, Rig, run_command, until
from tests.support.tools import need_root


def test_a_killed_daemon_sends_the_same_report_again_and_a_report_that_comes_back_is_rejected(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    pacs, study = HeldPacs(), Study("one")
    with pacs.listening() as port:
        config = reporting_to(port, tmp_path)
        with Rig(tmp_path / "edge", mosquitto.port, subscriber, config) as rig:
            for side, view in FOUR:
                film = study.film(side, view, SeriesInstanceUID="1.2.3")
                rig.drop(f"{MARKER}-{side}-{view}.dcm", film)
            first, again = pacs.kills(rig)[:2]
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
            until(lambda: counted(rig, "delivered_dicom") == 1, "counted", rig.words)
            told = [rig.log.read_bytes(), *(one.payload for one in subscriber.messages)]
            told += [(rig.folder / "state/audit.jsonl").read_bytes()]
            assert [one for one in told if MARKER[:16].encode() in one] == []


def test_a_further_view_makes_a_report_that_names_the_one_that_it_replaces(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    pacs, study = Pacs(), Study("revised")
    with (
        pacs.listening() as port,
        Rig(tmp_path / "edge", mosquitto.port, subscriber, reporting_to(port, tmp_path)) as rig,
    ):
        for side, view in FOUR:
            rig.drop(f"{side}-{view}.dcm", study.film(side, view, SeriesInstanceUID="1.2.3"))
        until(lambda: pacs.received, "a report", rig.words)
        rig.drop("again.dcm", study.taken_again(SeriesInstanceUID="1.2.3"))
        until(lambda: len(pacs.received) > 1, "another", rig.words)
        until(rig.settled, "settled", rig.words)
        first, second = pacs.received
        assert [exam["revision"] for exam in subscriber.under("exam")] == [1, 2]
        assert "PredecessorDocumentsSequence" not in first
        (named,) = second.PredecessorDocumentsSequence
        assert named.StudyInstanceUID == study.uid
        (series,) = named.ReferencedSeriesSequence
        (before,) = series.ReferencedSOPSequence
        assert before.ReferencedSOPInstanceUID == first.SOPInstanceUID
        assert before.ReferencedSOPClassUID == first.SOPClassUID
        assert series.SeriesInstanceUID == first.SeriesInstanceUID == second.SeriesInstanceUID
        assert (first.InstanceNumber, second.InstanceNumber) == (1, 2)


def test_forgetting_an_image_ends_the_report_that_is_on_its_way_and_says_so(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    need_root()
    study = Study("forgotten")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(PATIENCE_S)
        config = reporting_to(silent.getsockname()[1], tmp_path)
        with Rig(tmp_path / "edge", mosquitto.port, subscriber, config) as rig:
            for side, view in FOUR:
                film = study.film(side, view, SeriesInstanceUID="1.2.3")
                image_id = rig.drop(f"{side}-{view}.dcm", film)
            connection, _ = silent.accept()
            with connection:
                until(lambda: archived(rig) == len(FOUR), "archived", rig.words)
                answer = run_command("forget", image_id, "--config", rig.config)
                assert answer.returncode == 0, answer.stderr
                assert "a report or map that was on its way and was ended" in answer.stdout
                connection.settimeout(PATIENCE_S)
                sent = b"".join(iter(lambda: connection.recv(2**16), b""))
            assert b"MAMMO_EDGE" in sent
            assert MARKER[:16].encode() not in sent
            # `forget` removed what waits itself: only the count says that the courier is done
            until(lambda: counted(rig, "reports_original_gone") == 1, "counted", rig.words)
            assert rig.status()["outbox"].get("dicom") is None


def test_a_try_says_that_its_film_has_no_report(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    pacs = Pacs()
    with pacs.listening() as port:
        config = f'[pacs]\npeer = "{PACS}@127.0.0.1:{port}"\nresults = "image"\n'
        with Rig(tmp_path / "edge", mosquitto.port, subscriber, config) as rig:
            tried = run_command("try", "--config", rig.config, timeout_s=300)
    assert tried.returncode == 0, tried.stderr
    assert "published to mammo/v1/" in tried.stdout
    assert "no report to the PACS: the film is a PNG" in tried.stdout
    assert "published to the PACS" not in tried.stdout
    assert pacs.received == []


def reporting_to(port: int, folder: Path) -> str:
    """Configure reports to a PACS on this machine."""
    return (
        f'[model]\nbundle = "{bundle_with_breasts(folder)}"\n'
        f'[pacs]\npeer = "{PACS}@127.0.0.1:{port}"\n'
    )


def archived(rig: Rig) -> int:
    count: int = rig.status()["queue"]["archived"]
    return count


def counted(rig: Rig, counter: str) -> int:
    count: int = rig.status()["counters"].get(counter, 0)
    return count


def rejections(subscriber: Subscriber) -> list[str]:
    return [
        reason.partition(":")[0]
        for one in subscriber.under("result")
        for reason in one["gate"]["reasons"]
        if one["outcome"] == "rejected"
    ]
