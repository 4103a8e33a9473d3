"""
Attributes in functional groups, decimal commas, For Processing by class, and pixels that are not
square.
"""

import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from edge.errors import ImageRejected
from edge.inference.image import Limits, Mammogram, decode
from tests.support.films import dicom, small
from tests.support.frames import lut
from tests.support.tools import need

FILM = small(96, 64).astype(np.uint16) << 4
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
SHARED, OWN = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
ONE_FRAME: dict[str, Any] = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.3",
    "NumberOfFrames": "1",
    **TWELVE,
}
WINDOW = {"WindowCenter": "1500", "WindowWidth": "2000"}
TABLE = lut("VOILUTSequence", [4096, 0, 16], "US", (np.arange(4096) ** 2 // 256).tolist())
MODALITY = lut("ModalityLUTSequence", [4096, 0, 16], "US", (np.arange(4096) ** 2 // 256).tolist())


def read(data: bytes) -> Mammogram:
    return decode(data, Limits())


def item(**tags: object) -> Dataset:
    found = Dataset()
    for keyword, value in tags.items():
        setattr(found, keyword, value)
    return found


def in_groups(place: str, macro: str, **tags: object) -> dict[str, Any]:
    """Functional groups, of the frame or of all, with one macro."""
    return {place: Sequence([item(**{macro: Sequence([item(**tags)])})])}


MACROS: dict[str, tuple[str, dict[str, Any]]] = {
    "window": ("FrameVOILUTSequence", WINDOW),
    "sigmoid": ("FrameVOILUTSequence", {**WINDOW, "VOILUTFunction": "SIGMOID"}),
    "VOI table": ("FrameVOILUTSequence", TABLE),
    "rescale": (
        "PixelValueTransformationSequence",
        {"RescaleSlope": "-1", "RescaleIntercept": "4095"},
    ),
    "modality table": ("PixelValueTransformationSequence", MODALITY),
    "laterality": ("FrameAnatomySequence", {"ImageLaterality": "R"}),
    "spacing": ("PixelMeasuresSequence", {"PixelSpacing": ["0.2", "0.1"]}),
}


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
@pytest.mark.parametrize("place", [SHARED, OWN])
@pytest.mark.parametrize("what", MACROS)
def test_what_stands_in_functional_groups_counts_as_beside_the_pixels(
    what: str, place: str, syntax: str
) -> None:
    macro, tags = MACROS[what]
    pixels = FILM.astype(">u2") if syntax == ExplicitVRBigEndian else FILM
    grouped = read(dicom(pixels, UID(syntax), **ONE_FRAME, **in_groups(place, macro, **tags)))
    beside = read(dicom(pixels, UID(syntax), **ONE_FRAME, **tags))
    plain = read(dicom(pixels, UID(syntax), **ONE_FRAME))
    np.testing.assert_array_equal(grouped.pixels, beside.pixels)
    assert grouped.facts == beside.facts
    assert what == "laterality" or not np.array_equal(grouped.pixels, plain.pixels)


def test_frame_laterality_is_the_laterality() -> None:
    groups = in_groups(SHARED, "FrameAnatomySequence", FrameLaterality="L")
    assert read(dicom(FILM, **ONE_FRAME, **groups)).facts.laterality == "L"


def test_the_frames_own_group_has_precedence_over_the_shared_one() -> None:
    other = in_groups(SHARED, "FrameVOILUTSequence", WindowCenter="3000", WindowWidth="100")
    own = in_groups(OWN, "FrameVOILUTSequence", **WINDOW)
    image = read(dicom(FILM, **ONE_FRAME, **other, **own))
    np.testing.assert_array_equal(image.pixels, read(dicom(FILM, **TWELVE, **WINDOW)).pixels)


def test_a_window_beside_the_pixels_has_precedence_over_groups_but_an_empty_one_has_not() -> None:
    groups = in_groups(SHARED, "FrameVOILUTSequence", WindowCenter="3000", WindowWidth="100")
    image = read(dicom(FILM, **ONE_FRAME, **groups, **WINDOW))
    np.testing.assert_array_equal(image.pixels, read(dicom(FILM, **TWELVE, **WINDOW)).pixels)
    empty = {"WindowCenter": "", "WindowWidth": ""}
    groups = in_groups(SHARED, "FrameVOILUTSequence", **WINDOW)
    image = read(dicom(FILM, **ONE_FRAME, **groups, **empty))
    np.testing.assert_array_equal(image.pixels, read(dicom(FILM, **TWELVE, **WINDOW)).pixels)


@pytest.mark.parametrize(
    "groups",
    [{SHARED: Sequence([])}, {SHARED: Sequence([Dataset()])}, {OWN: Sequence([item(Rows=3)])}],
)
def test_groups_that_say_nothing_change_nothing(groups: dict[str, Any]) -> None:
    image = read(dicom(FILM, **ONE_FRAME, **groups))
    np.testing.assert_array_equal(image.pixels, read(dicom(FILM, **TWELVE)).pixels)


def test_objects_of_several_frames_are_declined_as_before() -> None:
    groups = in_groups(SHARED, "FrameVOILUTSequence", **WINDOW)
    with pytest.raises(ImageRejected, match="2 frames, expected one"):
        read(dicom(FILM, **ONE_FRAME | {"NumberOfFrames": "2"}, **groups))


# Decimal commas


@pytest.mark.parametrize(
    ("tags", "with_comma"),
    [
        (
            {"WindowCenter": "1500.0", "WindowWidth": "2000.0"},
            {b"1500.0": b"1500,0", b"2000.0": b"2000,0"},
        ),
        ({"WindowCenter": "1500.5", "WindowWidth": "2000"}, {b"1500.5": b"1500,5"}),
        (
            {"WindowCenter": ["1500.0", "9.0"], "WindowWidth": ["2000.0", "9.0"]},
            {b"1500.0": b"1500,0"},
        ),
        (
            {"RescaleSlope": "-0.5", "RescaleIntercept": "10.25"},
            {b"-0.5": b"-0,5", b"10.25": b"10,25"},
        ),
        ({"PixelSpacing": ["0.250", "0.125"]}, {b"0.250": b"0,250", b"0.125": b"0,125"}),
    ],
    ids=str,
)
def test_a_decimal_comma_is_a_decimal_point(
    tags: dict[str, Any], with_comma: dict[bytes, bytes]
) -> None:
    right = dicom(FILM, **TWELVE, **tags)
    comma = right
    for point, written in with_comma.items():
        comma = comma.replace(point, written)
    assert comma != right
    image = read(comma)
    np.testing.assert_array_equal(image.pixels, read(right).pixels)
    assert image.facts.flags == ()


# For Processing

ARRIVED = np.rint(300 + 15000 * np.exp(-FILM.astype(float) / 1100)).astype(np.uint16)
RAW: dict[str, Any] = {
    "BitsStored": 14,
    "HighBit": 13,
    "PixelIntensityRelationship": "LIN",
    "PixelIntensityRelationshipSign": 1,
    "PhotometricInterpretation": "MONOCHROME1",
}


@pytest.mark.parametrize(
    "tags",
    [
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"},
        {"PresentationIntentType": "For Processing"},
        {"PresentationIntentType": "for processing"},
        {"PresentationIntentType": "FOR_PROCESSING"},
    ],
    ids=str,
)
def test_detector_values_are_known_by_class_and_by_intent_in_any_writing(
    tags: dict[str, Any],
) -> None:
    right = read(dicom(ARRIVED, **RAW, PresentationIntentType="FOR PROCESSING"))
    image = read(dicom(ARRIVED, **RAW, **tags))
    assert image.facts.flags == right.facts.flags == ("for-processing",)
    np.testing.assert_array_equal(image.pixels, right.pixels)


@pytest.mark.parametrize("said", ["monochrome1", "Monochrome1"])
def test_the_photometric_interpretation_is_known_in_any_writing(said: str) -> None:
    right = read(dicom(FILM, **TWELVE, PhotometricInterpretation="MONOCHROME1"))
    image = read(dicom(FILM, **TWELVE, PhotometricInterpretation=said))
    np.testing.assert_array_equal(image.pixels, right.pixels)


# Pixels that are not square


@pytest.mark.parametrize(
    ("tags", "shape"),
    [
        ({"PixelAspectRatio": ["2", "1"]}, (192, 64)),
        ({"PixelAspectRatio": ["1", "2"]}, (96, 128)),
        ({"PixelAspectRatio": ["3", "2"]}, (144, 64)),
        ({"PixelSpacing": ["0.1", "0.15"]}, (96, 96)),
        ({"ImagerPixelSpacing": ["0.14", "0.07"]}, (192, 64)),
        ({"NominalScannedPixelSpacing": ["0.07", "0.14"]}, (96, 128)),
        ({"ImagerPixelSpacing": ["0.07", "0.07"], "PixelAspectRatio": ["2", "1"]}, (96, 64)),
        ({"ImagerPixelSpacing": ["0", "0"], "PixelAspectRatio": ["2", "1"]}, (192, 64)),
        ({"PixelAspectRatio": ["1000", "1001"]}, (96, 64)),
        ({"PixelAspectRatio": ["1", "1"]}, (96, 64)),
    ],
    ids=str,
)
def test_pixels_become_square_without_a_new_value(
    tags: dict[str, Any], shape: tuple[int, int]
) -> None:
    image, plain = read(dicom(FILM, **TWELVE, **tags)), read(dicom(FILM, **TWELVE))
    assert image.pixels.shape == (image.facts.rows, image.facts.columns) == shape
    assert image.facts.flags == ()
    assert np.isin(image.pixels, plain.pixels).all()
    back = cv2.resize(image.pixels, (64, 96), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(back.astype(float).mean(), plain.pixels.mean(), rtol=0.01)


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelAspectRatio": ["9", "1"]},
        {"PixelAspectRatio": ["1", "9"]},
        {"PixelSpacing": ["2.5", "0.1"]},
    ],
    ids=str,
)
def test_pixels_of_a_shape_that_cannot_be_are_left_as_they_are_and_flagged(
    tags: dict[str, Any],
) -> None:
    image = read(dicom(FILM, **TWELVE, **tags))
    assert image.facts.flags == ("non-square-pixels",)
    assert image.pixels.shape == FILM.shape


def test_a_picture_that_would_grow_over_the_limit_is_left_as_it_is_and_flagged() -> None:
    data = dicom(FILM, **TWELVE, PixelAspectRatio=["2", "1"])
    image = decode(data, Limits(max_pixels=FILM.size))
    assert image.facts.flags == ("non-square-pixels",)
    assert image.pixels.shape == FILM.shape


@pytest.mark.parametrize("ratio", [["2", "1"], ["1", "2"], ["3", "2"]], ids=str)
def test_square_pixels_have_the_proportions_that_dcmtk_gives(
    ratio: list[str], tmp_path: Path
) -> None:
    data = dicom(FILM, **TWELVE, PixelAspectRatio=ratio)
    (tmp_path / "a.dcm").write_bytes(data)
    side = "+Sxv" if ratio[0] < ratio[1] else "+Syv"
    length = "128" if side == "+Sxv" else "192"
    files = [str(tmp_path / "a.dcm"), str(tmp_path / "a.pgm")]
    command = [need("dcmj2pnm", "dcmtk"), "+op", side, length, *files]
    subprocess.run(command, check=True, capture_output=True)
    shown = cv2.imread(str(tmp_path / "a.pgm"), cv2.IMREAD_UNCHANGED)
    assert shown is not None
    ours = read(data).pixels
    assert shown.shape[0] / shown.shape[1] == pytest.approx(ours.shape[0] / ours.shape[1], rel=0.02)


def test_padding_stays_padding_where_pixels_become_square() -> None:
    padded = np.maximum(FILM, 1)
    padded[:, 50:] = 0
    image = read(dicom(padded, **TWELVE, PixelAspectRatio=["2", "1"], PixelPaddingValue=0))
    assert (image.pixels[:, 50:] == image.background).all()
    assert image.pixels.shape == (192, 64)
