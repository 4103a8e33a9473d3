"""A picture of a map stands in the patient's study, and says in all ways what it is not."""

import base64
import subprocess
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from edge.contract.report_job import Picture, Sent
from edge.daemon.publish.report_process import Reporter
from edge.dicom.send import headers
from edge.dicom.send.capture import SECONDARY_CAPTURE, capture
from edge.dicom.send.facts import facts_of
from edge.domain import OWN
from edge.errors import ImageRejected, Reason
from edge.inference.image import Limits, decode
from edge.inference.image.mammogram import ObjectRejected
from tests.support.exams import FOUR, MARKER
from tests.support.reports import Pacs, films, id_of, image_result, job_of, saved
from tests.support.tools import need

COLOURS = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
ONE = f"{0:064x}"


def picture() -> Picture:
    packed = base64.b64encode(zlib.compress(COLOURS.tobytes())).decode()
    return Picture(rows=5, columns=7, pixels=packed)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return films(tmp_path)[ONE]


def made_of(film: Path, number: int = 0) -> Dataset:
    return capture(facts_of(image_result(number), {}), headers.read(film), picture())


@pytest.mark.parametrize("side", ["L", None])
def test_dciodvfy_finds_no_error(side: str | None, film: Path, tmp_path: Path) -> None:
    result = image_result(0, image={"laterality": side, "view": side and "CC"})
    made = capture(facts_of(result, {}), headers.read(film), picture())
    (tmp_path / "capture.dcm").write_bytes(saved(made))
    command = [need("dciodvfy", "dicom3tools"), "-new", str(tmp_path / "capture.dcm")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    told = done.stderr.splitlines()
    assert [line for line in told if not line.startswith("Warning")] == ["SCImage"]


def test_it_stands_in_the_study_of_its_image_under_the_patient_s_name(film: Path) -> None:
    made, header = pydicom.dcmread(BytesIO(saved(made_of(film)))), pydicom.dcmread(film)
    for name in ("PatientName", "PatientID", "StudyInstanceUID", "AccessionNumber"):
        assert made[name].value == header[name].value
    assert made.SeriesInstanceUID != header.SeriesInstanceUID
    (source,) = made.SourceImageSequence
    assert source.ReferencedSOPInstanceUID == header.SOPInstanceUID
    assert np.array_equal(made.pixel_array, COLOURS)


def test_it_says_that_it_is_derived_burnt_in_and_research(film: Path) -> None:
    made = made_of(film)
    assert (made.SOPClassUID, made.ConversionType) == (SECONDARY_CAPTURE, "WSD")
    assert (made.BurnedInAnnotation, made.Modality) == ("YES", "OT")
    assert made.ImageType == ["DERIVED", "SECONDARY"]
    assert made.SeriesDescription == "mammo-edge: research, not for diagnosis"
    assert made.DerivationDescription == (
        "The breast cut out of the source image, with the map of malignancy of m 1.2, bundle "
        f"{'b' * 64}. Research, not for diagnosis."
    )


def test_the_same_result_is_the_same_object_and_another_is_another(film: Path) -> None:
    assert saved(made_of(film)) == saved(made_of(film))
    first, second = made_of(film), made_of(film, 1)
    assert first.SOPInstanceUID != second.SOPInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID


def test_each_map_of_a_study_names_its_breast_and_view_and_has_a_number_of_its_own(
    tmp_path: Path,
) -> None:
    headers_of = films(tmp_path)
    made = [
        capture(facts_of(image_result(number), {}), headers.read(film), picture())
        for number, film in enumerate(headers_of.values())
    ]
    assert [(one.ImageLaterality, one.ViewPosition) for one in made] == list(FOUR)
    numbers = [one.InstanceNumber for one in made]
    assert len(set(numbers)) == len(FOUR)
    assert all(0 < one < 2**31 for one in numbers)
    again = capture(facts_of(image_result(0), {}), headers.read(headers_of[ONE]), picture())
    assert again.InstanceNumber == numbers[0]


def test_a_map_of_an_image_that_names_no_breast_names_none(film: Path) -> None:
    result = image_result(0, image={"laterality": None, "view": None})
    made = capture(facts_of(result, {}), headers.read(film), picture())
    assert "ImageLaterality" not in made
    assert "ViewPosition" not in made


@pytest.mark.parametrize(("said", "expected"), [("01", "01"), ("00", None), (None, None)])
def test_what_was_lossy_stays_so(said: str | None, expected: str | None, tmp_path: Path) -> None:
    film = films(tmp_path, LossyImageCompression=said)[ONE]
    assert made_of(film).get("LossyImageCompression") == expected


@pytest.mark.parametrize(
    "kept", ["Manufacturer", "SecondaryCaptureDeviceManufacturer", "SeriesDescription"]
)
def test_by_any_one_of_its_marks_it_is_no_mammogram_even_if_it_is_grey_and_says_so(
    kept: str, film: Path
) -> None:
    made = made_of(film)
    for name in ("Manufacturer", "SecondaryCaptureDeviceManufacturer", "SeriesDescription"):
        if name != kept:
            del made[name]
    made.Modality, made.SamplesPerPixel = "MG", 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = COLOURS[:, :, 0].tobytes() + b"\0"
    with pytest.raises(ObjectRejected, match="made by mammo-edge itself") as caught:
        decode(saved(made), Limits())
    assert caught.value.reason is Reason.NOT_A_MAMMOGRAM
    assert caught.value.identity is None  # it joins no exam of its study


def test_without_its_marks_it_is_no_mammogram_either(film: Path) -> None:
    made = made_of(film)
    for name in ("Manufacturer", "SecondaryCaptureDeviceManufacturer", "SeriesDescription"):
        del made[name]
    with pytest.raises(ImageRejected, match="Modality is OT"):
        decode(saved(made), Limits())
    made.Modality = "MG"
    with pytest.raises(ImageRejected, match="3 samples per pixel"):
        decode(saved(made), Limits())


def test_the_process_sends_it_and_tells_of_a_pacs_that_does_not_take_it(film: Path) -> None:
    pacs = Pacs()
    job = job_of(1, {ONE: film})
    with pacs.listening((SECONDARY_CAPTURE,)) as port:
        peer = job.peer.model_copy(update={"port": port})
        new = {"result": image_result(0), "of_images": {}, "picture": picture(), "peer": peer}
        answer = Reporter(lambda: None).ask(job.model_copy(update=new))
        assert (answer.sent, answer.why) == (Sent.STORED, "")
        (taken,) = pacs.received
        assert (taken.PatientID, taken.Manufacturer) == (MARKER, OWN)
        assert taken.SOPInstanceUID == made_of(film).SOPInstanceUID
        broken = new | {"picture": picture().model_copy(update={"pixels": "????"})}
        answer = Reporter(lambda: None).ask(job.model_copy(update=broken))
        assert answer.sent is Sent.REFUSED
        assert answer.why.startswith("no picture of the map: error at capture.py:")
    with pacs.listening() as port:
        peer = job.peer.model_copy(update={"port": port})
        answer = Reporter(lambda: None).ask(job.model_copy(update=new | {"peer": peer}))
        told = "the peer does not take Secondary Capture"
        assert (answer.sent, answer.why) == (Sent.UNAVAILABLE, told)
    assert id_of(0) == image_result(0)["result_id"]
