"""From a film to a picture of its map in a PACS, and what becomes of that when it comes back."""

import json
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from deploy.demo.brokers import Mosquitto, free_port
from deploy.demo.subscriber import Subscriber
from edge.dicom.send.capture import SECONDARY_CAPTURE
from edge.storage.pictures import PICTURE, find
from tests.support.exams import MARKER, Study, bundle_with_breasts
from tests.support.receiver import Receiver, association, contexts, sent
from tests.support.reports import PACS, HeldPacs, saved
from tests.support.rig import Rig, film, run_command, until


def test_a_killed_daemon_sends_the_same_map_again_and_one_that_comes_back_is_never_scored(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    pacs, study = HeldPacs(), Study("one")
    with pacs.listening((SECONDARY_CAPTURE,)) as port:
        config = f'[pacs]\npeer = "{PACS}@127.0.0.1:{port}"\nmap = true\n[page]\npictures = true\n'
        with Rig(tmp_path / "edge", mosquitto.port, subscriber, config) as rig:
            image = study.film("L", "CC", SeriesInstanceUID="1.2.3")
            said = rig.result_of(rig.drop(f"{MARKER}.dcm", image))
            first, again = pacs.kills(rig)
            assert first == again
            assert (first.PatientID, first.StudyInstanceUID) == (MARKER, study.uid)
            assert first.SOPInstanceUID != first.SourceImageSequence[0].ReferencedSOPInstanceUID
            names = said["image_id"], said["result_id"]
            assert find(rig.folder / "state", *names, PICTURE) is not None  # by the same drawing

            rig.drop("film.png", film(1))
            until(lambda: counted(rig, "maps_not_dicom") == 1, "no map of a PNG", rig.words)

            rig.drop("map.dcm", as_file(first))
            until(lambda: len(rejections(subscriber)) == 1, "a rejection", rig.words)
            with Receiver(tmp_path / "receiver", inbox=rig.inbox) as receiver:
                again.SeriesNumber = 7  # other bytes
                (tmp_path / "back.dcm").write_bytes(as_file(again))
                offered = contexts([SECONDARY_CAPTURE])
                with association(receiver, offered=offered) as made:
                    assert sent(made, tmp_path / "back.dcm") == 0
                until(lambda: len(rejections(subscriber)) == 2, "another", rig.words)
            until(rig.settled, "settled", rig.words)
            own = "not a mammogram: it was made by mammo-edge itself"
            assert all(one.startswith(own) for one in rejections(subscriber))
            assert {one.SOPInstanceUID for one in pacs.received} == {first.SOPInstanceUID}
            until(lambda: counted(rig, "maps_without_score") == 2, "no map of a map", rig.words)
            assert counted(rig, "delivered_dicom_map") == 1
            told = [rig.log.read_bytes(), *(one.payload for one in subscriber.messages)]
            told += [(rig.folder / "state/audit.jsonl").read_bytes()]
            assert [one for one in told if MARKER[:16].encode() in one] == []


def test_a_model_that_points_elsewhere_is_refused_by_check_and_scores_without_maps(
    tmp_path: Path, mosquitto: Mosquitto, subscriber: Subscriber
) -> None:
    bundle = bundle_with_breasts(tmp_path)
    fields = json.loads((bundle / "bundle.json").read_bytes())
    fields["scores"]["pointing"] = {"films": 40, "with_tolerance": {"hits": 0.595}}
    (bundle / "bundle.json").write_text(json.dumps(fields))
    config = (
        f'[model]\nbundle = "{bundle}"\n'
        f'[pacs]\npeer = "{PACS}@127.0.0.1:{free_port()}"\nmap = true\nresults = "image"\n'
    )
    found = "lay on the lesion of 59.5% of 40 malignant test films, expected at least 60%"
    with Rig(tmp_path / "edge", mosquitto.port, subscriber, config) as rig:
        checked = run_command("--config", rig.config, "--json", "check")
        assert checked.returncode == 78
        told = [row["detail"] for row in json.loads(checked.stdout) if not row["ok"]]
        assert [found in detail for detail in told] == [True]
        (why,) = (one for one in rig.status()["reasons"] if "pacs.map" in one)
        assert found in why
        assert "maps_not_pointing" in rig.status()["reason_codes"]
        said = rig.result_of(rig.drop("film.dcm", Study("one").film("L", "CC")))
        assert said["score"] is not None
        until(lambda: counted(rig, "maps_not_pointing") == 1, "no map", rig.words)


def as_file(received: Dataset) -> bytes:
    """Write an object as a PACS that forwards it."""
    received.file_meta = FileMetaDataset()
    received.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return saved(received)


def counted(rig: Rig, what: str) -> int:
    found: int = rig.status()["counters"].get(what, 0)
    return found


def rejections(subscriber: Subscriber) -> list[str]:
    return [
        reason
        for one in subscriber.under("result")
        for reason in one["gate"]["reasons"]
        if one["outcome"] == "rejected"
    ]
