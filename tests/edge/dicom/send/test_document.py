"""A report says what its result says, in the images' study, and is the same however often made."""

import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import Dataset

from edge import NOTICE
from edge.dicom.send import headers
from edge.dicom.send.document import CLASSES, COMPREHENSIVE, COMPREHENSIVE_3D, document
from edge.dicom.send.facts import facts_of
from tests.support.films import crop, dicom
from tests.support.reports import (
    LEDGER,
    exam_result,
    films,
    id_of,
    image_result,
    of_images,
    rejected_image,
    said,
    saved,
    taken_back,
)
from tests.support.rig import film
from tests.support.tools import need

RESULTS: dict[str, dict[str, Any]] = {
    "incomplete exam": exam_result(complete=False),
    "exam": exam_result(),
    "revision": exam_result(revision=2, supersedes=id_of(99)),
    "exam taken back": taken_back(),
    "image": image_result(0),
    "image of no side": image_result(0, image={"laterality": None, "view": None}),
    "image taken back": rejected_image(supersedes=id_of(50)),
}


def report(result: dict[str, Any], files: dict[str, Path], kind: str = CLASSES[0]) -> Dataset:
    ids = [result["image_id"]] if "image_id" in result else list(files)
    return document(
        facts_of(result, of_images()), {one: headers.read(files[one]) for one in ids}, kind
    )


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return films(tmp_path)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("name", RESULTS)
def test_dciodvfy_finds_no_error(
    name: str, kind: str, files: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "report.dcm").write_bytes(saved(report(RESULTS[name], files, kind)))
    command = [need("dciodvfy", "dicom3tools"), "-new", str(tmp_path / "report.dcm")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    told = done.stderr.splitlines()
    assert [line for line in told if not line.startswith("Warning")] in (
        [["ComprehensiveSR"], ["Comprehensive3DSR"]]
    )


def test_a_report_of_an_exam_says_scores_outcomes_model_and_that_it_is_research(
    files: dict[str, Path],
) -> None:
    made = pydicom.dcmread(BytesIO(saved(report(exam_result(), files))))
    assert made.SOPClassUID == COMPREHENSIVE_3D
    assert made.SeriesDescription == "mammo-edge: research, not for diagnosis"
    told = said(made)
    assert [value for name, value in told if name == "Probability of cancer"] == [
        f"{percent:.4f}" for percent in (75, 25, 10, 20, 30, 40)
    ]
    whole, left = ("Comment", NOTICE), ("Tracking Identifier", "left breast, CC and MLO")
    assert {whole, left, ("Algorithm Name", "m"), ("Algorithm Version", "1.2")} <= set(told)
    assert ("Algorithm Parameters", f"SHA-256 of the bundle: {'b' * 64}") in told
    outcomes = [value for name, value in told if name == "Outcome at the operating point"]
    assert outcomes == ["Malignant", "Indeterminate", *["Benign"] * 4, "Malignant"]
    measured = [value for name, value in told if name == "Model was measured on this domain"]
    assert measured == ["not stated", "yes", "yes", "no", "yes", "yes"]
    points = [value for name, value in told if name == "Operating point"]
    plain = "default: malignant from 0.5000, indeterminate from 0.4000 to below 0.5000"
    assert points[:2] == [plain, f"{plain}; indeterminate whatever the score: domain-unmeasured"]


def test_an_exam_without_all_four_views_says_that_it_is_incomplete(files: dict[str, Path]) -> None:
    for complete, flag in ((True, "COMPLETE"), (False, "PARTIAL")):
        made = report(exam_result(complete=complete), files)
        assert made.CompletionFlag == flag
        comments = [value for name, value in said(made) if name == "Comment"]
        assert any("Incomplete" in one for one in comments) is not complete


def test_the_images_are_its_evidence_and_each_score_names_its_own(files: dict[str, Path]) -> None:
    made = report(exam_result(), files)
    named = [headers.read(path) for path in files.values()]
    (evidence,) = made.CurrentRequestedProcedureEvidenceSequence
    assert evidence.StudyInstanceUID == made.StudyInstanceUID == named[0].StudyInstanceUID
    assert {
        (series.SeriesInstanceUID, one.ReferencedSOPInstanceUID)
        for series in evidence.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    } == {(one.SeriesInstanceUID, one.SOPInstanceUID) for one in named}
    assert made.SeriesInstanceUID not in {one.SeriesInstanceUID for one in named}
    left = made.ContentSequence[6].ContentSequence[0]
    sources = [one for one in left.ContentSequence if one.ValueType == "IMAGE"]
    uids = [one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in sources]
    assert uids == [named[0].SOPInstanceUID, named[1].SOPInstanceUID]


def test_patient_and_study_stand_there_byte_for_byte_in_their_own_characters(
    tmp_path: Path,
) -> None:
    name = "Müller^Änne"
    made = films(tmp_path, SpecificCharacterSet="ISO_IR 100", PatientName=name, AccessionNumber="7")
    data = saved(report(exam_result(device="edge-ü"), made))
    assert name.encode("latin-1") in data
    read = pydicom.dcmread(BytesIO(data))
    assert (str(read.PatientName), read.AccessionNumber) == (name, "7")
    assert ("Device Observer Name", "north/edge-?") in said(read)


def test_the_same_result_is_the_same_object_to_the_byte_and_another_is_not(
    files: dict[str, Path],
) -> None:
    assert saved(report(exam_result(), files)) == saved(report(exam_result(), files))
    other_ledger = exam_result(ledger_id=LEDGER.replace("a", "b"))
    names = [
        report(result, files, kind).SOPInstanceUID
        for result, kind in (
            (exam_result(), COMPREHENSIVE_3D),
            (exam_result(), COMPREHENSIVE),
            (other_ledger, COMPREHENSIVE_3D),
            (exam_result(result_id=id_of(7)), COMPREHENSIVE_3D),
        )
    ]
    assert len(set(names)) == len(names)


def test_a_revision_names_its_predecessor_in_the_same_series(files: dict[str, Path]) -> None:
    first, second = report(exam_result(), files), report(taken_back(), files)
    assert "PredecessorDocumentsSequence" not in first
    (study,) = second.PredecessorDocumentsSequence
    (series,) = study.ReferencedSeriesSequence
    (named,) = series.ReferencedSOPSequence
    assert named.ReferencedSOPInstanceUID == first.SOPInstanceUID
    assert named.ReferencedSOPClassUID == first.SOPClassUID
    assert series.SeriesInstanceUID == first.SeriesInstanceUID == second.SeriesInstanceUID
    assert ("Reason for no score", "several patients: see the sender") in said(second)
    assert [name for name, _ in said(second) if name == "Probability of cancer"] == []


def test_images_of_several_studies_or_patients_make_no_report(
    files: dict[str, Path], tmp_path: Path
) -> None:
    for number, tags in enumerate(({"StudyInstanceUID": "1.9"}, {"PatientID": "another"})):
        (tmp_path / str(number)).mkdir()
        other = films(tmp_path / str(number), **tags)
        mixed = {**files, min(files): other[min(files)]}
        with pytest.raises(headers.SeveralStudiesError):
            report(exam_result(), mixed)


@pytest.mark.parametrize(
    "data",
    [
        film(1),
        b"",
        dicom(crop(), StudyInstanceUID=None, SeriesInstanceUID="1.2"),
        dicom(crop(), SeriesInstanceUID=None),
        dicom(crop(), SeriesInstanceUID="a series"),
        b"\x08\0" + bytes(200),
    ],
    ids=["png", "empty", "no study", "no series", "no UID", "damaged"],
)
def test_a_file_without_the_names_that_a_reference_needs_is_told_apart(
    data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(headers.NotDicomError):
        headers.read(tmp_path / "file")
