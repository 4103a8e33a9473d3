"""
Grey levels of DICOM files as other people's programs show them, and what real devices get wrong.
"""

import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence

from edge.errors import ImageRejected, Reason
from edge.inference.image import Limits, decode
from tests.support.films import crop, dicom
from tests.support.tools import need

Tags = dict[str, Any]
DEEP = crop() >> 4
SIGNED = (DEEP.astype(np.int32) - 2048).astype(np.int16)
TWELVE: Tags = {"BitsStored": 12, "HighBit": 11}
WINDOW: Tags = {**TWELVE, "WindowCenter": "1800", "WindowWidth": "1500"}
ROOT = np.rint(65535 * np.sqrt(np.arange(4096) / 4095))


def table(keyword: str, descriptor: list[int], values: NDArray[Any], vr: str = "US") -> Tags:
    item = Dataset()
    item.LUTDescriptor = descriptor
    item["LUTDescriptor"].VR = vr
    item.LUTData = values.astype("<u2").tobytes()
    item["LUTData"].VR = "OW"
    if keyword == "ModalityLUTSequence":
        item.ModalityLUTType = "US"
    return {**TWELVE, keyword: Sequence([item])}


CASES: dict[str, tuple[NDArray[Any], Tags]] = {
    "no window": (DEEP, TWELVE),
    "window": (DEEP, WINDOW),
    "sigmoid": (DEEP, {**WINDOW, "WindowWidth": "900", "VOILUTFunction": "SIGMOID"}),
    "several windows": (
        DEEP,
        {**TWELVE, "WindowCenter": ["1800", "2000"], "WindowWidth": ["1500", "90"]},
    ),
    "a threshold": (DEEP, {**WINDOW, "WindowWidth": "1"}),
    "MONOCHROME1": (DEEP, {**WINDOW, "PhotometricInterpretation": "MONOCHROME1"}),
    "MONOCHROME1 INVERSE": (
        DEEP,
        {**WINDOW, "PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    ),
    "MONOCHROME1 IDENTITY": (
        DEEP,
        {**WINDOW, "PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
    ),
    "MONOCHROME2 INVERSE": (DEEP, {**WINDOW, "PresentationLUTShape": "INVERSE"}),
    "signed": (SIGNED, {**TWELVE, "WindowCenter": "-100", "WindowWidth": "1500"}),
    "rescale": (
        DEEP,
        {
            **TWELVE,
            "RescaleSlope": "0.5",
            "RescaleIntercept": "-100",
            "WindowCenter": "800",
            "WindowWidth": "700",
        },
    ),
    "negative slope": (
        DEEP,
        {
            **TWELVE,
            "RescaleSlope": "-1",
            "RescaleIntercept": "4095",
            "WindowCenter": "2200",
            "WindowWidth": "1500",
        },
    ),
    "modality table": (
        DEEP,
        table("ModalityLUTSequence", [4096, 0, 16], ROOT)
        | {"WindowCenter": "40000", "WindowWidth": "40000"},
    ),
    "VOI table": (DEEP, table("VOILUTSequence", [4096, 0, 16], ROOT)),
    "VOI table of some values": (
        DEEP,
        table("VOILUTSequence", [2048, 1000, 16], 65535 * np.linspace(0, 1, 2048) ** 2),
    ),
    "VOI table of signed values": (SIGNED, table("VOILUTSequence", [4096, -2048, 16], ROOT, "SS")),
    "VOI table of signed values, written unsigned": (
        SIGNED,
        table("VOILUTSequence", [4096, 65536 - 2048, 16], ROOT),
    ),
    "values at the upper end of their bits": (DEEP << 4, {**WINDOW, "HighBit": 15}),
}


def grey(pixels: NDArray[Any], tags: Tags) -> NDArray[np.float64]:
    """What is read, from 0 to 1."""
    return np.asarray(decode(dicom(pixels, **tags), Limits()).pixels / 65535, np.float64)


@pytest.mark.parametrize("name", CASES)
def test_grey_levels_are_those_of_dcmtk(name: str, tmp_path: Path) -> None:
    pixels, tags = CASES[name]
    (tmp_path / "a.dcm").write_bytes(dicom(pixels, **tags))
    voi = (
        ["+Wl", "1"]
        if "VOILUTSequence" in tags
        else ["+Wi", "1"]
        if "WindowCenter" in tags
        else ["-W"]
    )
    command = [
        need("dcmj2pnm", "dcmtk"),
        "+op",
        *voi,
        str(tmp_path / "a.dcm"),
        str(tmp_path / "a.pgm"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    shown = cv2.imread(str(tmp_path / "a.pgm"), cv2.IMREAD_UNCHANGED)
    assert shown is not None
    np.testing.assert_allclose(grey(pixels, tags), shown / 255, atol=1.2 / 255)


OTHERWISE_IN_PYDICOM = {
    "negative slope": "it turns the window round",
    "VOI table of signed values, written unsigned": "it takes the first value for a large one",
    "values at the upper end of their bits": "it does not look at High Bit",
    **dict.fromkeys(
        (name for name in CASES if "MONOCHROME" in name), "it leaves the presentation to the caller"
    ),
}


@pytest.mark.parametrize("name", sorted(CASES.keys() - OTHERWISE_IN_PYDICOM.keys()))
def test_grey_levels_are_those_of_pydicom(name: str) -> None:
    pixels, tags = CASES[name]
    dataset = pydicom.dcmread(BytesIO(dicom(pixels, **tags)))
    shown = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset).astype(
        np.float64
    )
    ours = grey(pixels, tags)
    low, high = shown.min(), shown.max()
    spread = (shown - low) / (high - low)
    np.testing.assert_allclose((ours - ours.min()) / (ours.max() - ours.min()), spread, atol=1e-3)


def test_linear_exact_has_no_half_steps() -> None:
    tags = {
        **TWELVE,
        "WindowCenter": "2000",
        "WindowWidth": "1000",
        "VOILUTFunction": "LINEAR_EXACT",
    }
    np.testing.assert_allclose(
        grey(DEEP, tags), np.clip((DEEP - 2000.0) / 1000 + 0.5, 0, 1), atol=2e-5
    )


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": "", "WindowWidth": ""},
        {"WindowCenter": "2000"},
        {"WindowCenter": "2000", "WindowWidth": "-100"},
        {"WindowCenter": "60000", "WindowWidth": "10"},
        {"WindowCenter": "2000", "WindowWidth": "0", "VOILUTFunction": "SIGMOID"},
        {"VOILUTSequence": Sequence([])},
        {"VOILUTSequence": Sequence([Dataset()])},
        {"RescaleSlope": "0", "RescaleIntercept": "0"},
        {"RescaleSlope": "1"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_left_out(tags: Tags) -> None:
    np.testing.assert_array_equal(grey(DEEP, TWELVE | tags), grey(DEEP, TWELVE))


def test_twelve_bits_that_say_they_are_sixteen_use_the_whole_range() -> None:
    np.testing.assert_array_equal(grey(DEEP, {}), grey(DEEP, TWELVE))


@pytest.mark.parametrize(
    "missing",
    [
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "PhotometricInterpretation",
        "SamplesPerPixel",
    ],
)
def test_a_missing_pixel_attribute_has_its_usual_value(missing: str) -> None:
    np.testing.assert_array_equal(grey(DEEP, {missing: None}), grey(DEEP, {}))


def padded(pixels: NDArray[Any], value: int, tags: Tags) -> tuple[int | None, int]:
    """What is known of the padding, and what stands there."""
    pixels = pixels.copy()
    pixels[:, :20] = value
    image = decode(dicom(pixels, **tags), Limits())
    assert (image.pixels[:, :20] == image.pixels[0, 0]).all()
    assert (image.pixels[:, 20:] != image.pixels[0, 0]).mean() > 0.9
    return image.background, int(image.pixels[0, 0])


@pytest.mark.parametrize(
    ("pixels", "value", "tags"),
    [
        (DEEP, 0, TWELVE | {"PixelPaddingValue": 0}),
        (
            DEEP,
            4095,
            TWELVE | {"PixelPaddingValue": 4095, "PhotometricInterpretation": "MONOCHROME1"},
        ),
        (DEEP, 4000, TWELVE | {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 3900}),
        (DEEP, 4000, TWELVE | {"PixelPaddingValue": 3900, "PixelPaddingRangeLimit": 4095}),
        (DEEP, 65535, TWELVE | {"PixelPaddingValue": 65535}),
        (SIGNED, -2048, TWELVE | {"PixelPaddingValue": -2048}),
        (SIGNED, -32768, {"PixelPaddingValue": -32768}),
        (np.maximum(SIGNED, 1), -1000, {"PixelPaddingValue": -2000, "PixelPaddingRangeLimit": 0}),
    ],
    ids=[
        "black",
        "white MONOCHROME1",
        "range",
        "range upwards",
        "beside the stored bits",
        "signed",
        "signed 16",
        "range to 0",
    ],
)
def test_padding_is_known(pixels: NDArray[Any], value: int, tags: Tags) -> None:
    background, there = padded(pixels, value, tags)
    assert background == there


def test_signed_padding_far_below_takes_no_contrast_from_the_picture() -> None:
    pixels = SIGNED.copy()
    pixels[:, :20] = -32768
    with_padding = decode(dicom(pixels, PixelPaddingValue=-32768), Limits())
    without = decode(dicom(SIGNED), Limits())
    np.testing.assert_array_equal(with_padding.pixels[:, 20:], without.pixels[:, 20:])


ARRIVED = np.rint(4095 * np.exp(DEEP / -1500.0)).astype(np.uint16)
"""What a detector counts behind tissue of that density."""
RAW: Tags = {
    **TWELVE,
    "PresentationIntentType": "FOR PROCESSING",
    "PixelIntensityRelationship": "LIN",
}


@pytest.mark.parametrize(
    ("pixels", "tags"),
    [
        (ARRIVED, RAW | {"PixelIntensityRelationshipSign": 1}),
        (ARRIVED, RAW | {"PhotometricInterpretation": "MONOCHROME1"}),
        (4095 - ARRIVED, RAW | {"PixelIntensityRelationshipSign": -1}),
        (
            4095 - DEEP,
            RAW | {"PixelIntensityRelationship": "LOG", "PhotometricInterpretation": "MONOCHROME1"},
        ),
        (DEEP, RAW | {"PixelIntensityRelationship": "LOG", "PixelIntensityRelationshipSign": -1}),
    ],
    ids=["sign 1", "MONOCHROME1", "sign -1", "logarithmic, MONOCHROME1", "logarithmic"],
)
def test_detector_values_become_attenuation(pixels: NDArray[Any], tags: Tags) -> None:
    image = decode(dicom(pixels, **tags), Limits())
    assert np.corrcoef(image.pixels.ravel(), DEEP.ravel())[0, 1] > 0.999
    assert image.facts.flags == ("for-processing",)


def test_eight_bits_in_big_endian_words_keep_their_order() -> None:
    eight = (DEEP >> 4).astype(np.uint8)
    data = dicom(
        eight, pydicom.uid.ExplicitVRBigEndian, PixelData=eight.view(">u2").astype("<u2").tobytes()
    )
    np.testing.assert_array_equal(
        decode(data, Limits()).pixels, decode(dicom(eight), Limits()).pixels
    )


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Rows": 0}, Reason.NO_PIXELS),
        ({"Columns": None}, Reason.NO_PIXELS),
        ({"BitsAllocated": 32}, Reason.UNSUPPORTED_FORMAT),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, Reason.UNSUPPORTED_FORMAT),
        ({"BitsStored": 17}, Reason.UNSUPPORTED_FORMAT),
        (
            {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
            Reason.COLOUR,
        ),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, Reason.COLOUR),
        ({"NumberOfFrames": 60}, Reason.MULTI_FRAME),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"}, Reason.MULTI_FRAME),
        ({"PixelData": None}, Reason.NO_PIXELS),
        ({"PixelData": None, "FloatPixelData": b"\0" * 400}, Reason.UNSUPPORTED_FORMAT),
        ({"PixelData": b""}, Reason.UNREADABLE),
    ],
    ids=str,
)
def test_what_cannot_be_a_picture_says_why(tags: Tags, reason: Reason) -> None:
    with pytest.raises(ImageRejected) as caught:
        decode(dicom(DEEP, **tags), Limits())
    assert caught.value.reason is reason
