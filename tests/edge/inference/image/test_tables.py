"""
Modality and VOI LUTs of every entry size and packing, as dcmj2pnm applies them; what cannot be
applied is a flag.
"""

import itertools
import subprocess
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from edge.inference.image import Limits, Mammogram, decode
from tests.support.films import dicom
from tests.support.frames import lut
from tests.support.tools import need

RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
"""Every value of 12 bits once."""
SIGNED = (RAMP.astype(np.int32) - 2048).astype(np.int16)
MODALITY, VOI = "ModalityLUTSequence", "VOILUTSequence"
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big": ExplicitVRBigEndian,
}
FIRST = {256: 700, 1000: 1500, 4096: 0, 65536: 0}
"""
The first value mapped, for each number of entries: before, behind and beside what the picture has.
"""
Grid = list[tuple[str, int, int, str, str, bool]]


def grid() -> Grid:
    """Every second of: table, bits of an entry, entries, packing, syntax, sign of the pixels."""
    signs = (False, True)
    every = itertools.product(
        (MODALITY, VOI), (8, 10, 12, 16), FIRST, ("US", "OW", "packed"), SYNTAXES, signs
    )
    possible = [
        case
        for case in every
        if (case[1] == 8 or case[3] != "packed") and (case[2] < 65536 or case[3] != "US")
    ]
    return [case for at, case in enumerate(possible) if (at + at // 6) % 2]


def curve(entries: int, bits: int) -> NDArray[np.uint16]:
    share = np.sqrt(np.arange(entries) / (entries - 1))
    values: NDArray[np.uint16] = np.rint((2**bits - 1) * share).astype(np.uint16)
    return values


def written(values: NDArray[np.uint16], packing: str, order: str) -> tuple[str, object]:
    """The VR and the value of LUT Data."""
    match packing:
        case "US":
            return "US", values.tolist()
        case "OW":
            return "OW", values.astype(order + "u2").tobytes()
        case "packed":
            return "OW", values.astype(np.uint8).view("<u2").astype(order + "u2").tobytes()
        case "SS":
            return "SS", values.astype(np.int16).tolist()
    return "OB", values.astype(np.uint8).tobytes() + b"\0" * (values.size % 2)


def film(  # noqa: PLR0913 - each is one way in which tables differ
    keyword: str,
    bits: int,
    entries: int,
    packing: str,
    syntax: str,
    *,
    signed: bool,
    **tags: object,
) -> bytes:
    pixels: NDArray[Any] = SIGNED if signed else RAMP
    first = FIRST[entries] - 2048 * signed if entries < 65536 else -32768 * signed
    big = SYNTAXES[syntax] == ExplicitVRBigEndian
    order: Literal[">", "<"] = ">" if big else "<"
    vr, data = written(curve(entries, bits), packing, order)
    table = lut(keyword, [0, 0, 0], vr, data)
    descriptor = [
        entries % 65536,
        first % 65536,
        bits,
    ]  # 16 bits each, as unsigned as they are written
    table[keyword][0].add_new("LUTDescriptor", "US", descriptor)
    stored = pixels.astype(pixels.dtype.newbyteorder(order))
    depth = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": int(signed)}
    return dicom(stored, UID(SYNTAXES[syntax]), **depth, **table, **tags)


def shown_by_dcmtk(data: bytes, keyword: str, folder: Path) -> NDArray[np.float64]:
    (folder / "a.dcm").write_bytes(data)
    voi = ["+Wl", "1"] if keyword == VOI else ["-W"]
    command = [need("dcmj2pnm", "dcmtk"), "+op", *voi, str(folder / "a.dcm"), str(folder / "a.pgm")]
    subprocess.run(command, check=True, capture_output=True)
    shown = cv2.imread(str(folder / "a.pgm"), cv2.IMREAD_UNCHANGED)
    assert shown is not None
    return shown.astype(np.float64)


def spread(values: NDArray[Any]) -> NDArray[np.float64]:
    low, high = float(values.min()), float(values.max())
    assert low < high
    return (values - low) / (high - low)


def read(data: bytes) -> Mammogram:
    return decode(data, Limits())


@pytest.mark.parametrize("packing", ["US", "OW", "packed"])
@pytest.mark.parametrize("keyword", [MODALITY, VOI])
def test_tables_of_every_kind_are_applied_as_dcmtk_does(
    keyword: str, packing: str, tmp_path: Path
) -> None:
    cases = [case for case in grid() if (case[0], case[3]) == (keyword, packing)]
    assert len(cases) >= 12
    for at, (_, bits, entries, _, syntax, signed) in enumerate(cases):
        photometric = f"MONOCHROME{1 + at % 2}"
        data = film(
            keyword,
            bits,
            entries,
            packing,
            syntax,
            signed=signed,
            PhotometricInterpretation=photometric,
        )
        ours, theirs = read(data), shown_by_dcmtk(data, keyword, tmp_path)
        assert ours.facts.flags == ()
        step = 1.5 / (theirs.max() - theirs.min())
        case = f"{bits} bits, {entries} entries, {syntax}, signed {signed}, {photometric}"
        np.testing.assert_allclose(
            spread(ours.pixels), spread(theirs), atol=step + 1e-3, err_msg=case
        )


@pytest.mark.parametrize("syntax", ["explicit", "big"])
@pytest.mark.parametrize("keyword", [MODALITY, VOI])
@pytest.mark.parametrize(
    ("packing", "bits", "entries"), [("SS", 12, 4096), ("SS", 8, 256), ("OB", 8, 4096)]
)
def test_what_dcmtk_leaves_out_is_applied_as_its_usual_twin(
    packing: str, bits: int, entries: int, keyword: str, syntax: str
) -> None:
    theirs = film(keyword, bits, entries, packing, syntax, signed=False)
    usual = film(keyword, bits, entries, "US", syntax, signed=False)
    np.testing.assert_array_equal(read(theirs).pixels, read(usual).pixels)
    assert read(theirs).facts.flags == ()


@pytest.mark.parametrize(
    "element", [b"\x28\0\x06\x30OW", b"\x28\0\x10\x30SQ"], ids=["data", "sequence"]
)
def test_a_table_of_unknown_vr_is_applied(element: bytes) -> None:
    right = film(VOI, 16, 4096, "OW", "explicit", signed=False)
    unknown = right.replace(element, element[:4] + b"UN")
    assert unknown != right
    np.testing.assert_array_equal(read(unknown).pixels, read(right).pixels)
    assert read(unknown).facts.flags == ()


@pytest.mark.parametrize("packing", ["packed", "OB"])
def test_an_odd_number_of_packed_entries_has_a_byte_of_padding(packing: str) -> None:
    values = curve(1001, 8)
    padded = np.append(values, 0).astype(np.uint16) if packing == "packed" else values
    odd = lut(VOI, [1001, 1500, 8], *written(padded, packing, "<"))
    usual = lut(VOI, [1001, 1500, 8], *written(values, "US", "<"))
    pictures = [
        read(dicom(RAMP, BitsStored=12, HighBit=11, **tags)).pixels for tags in (odd, usual)
    ]
    np.testing.assert_array_equal(pictures[0], pictures[1])


def test_a_voi_table_comes_after_a_modality_table() -> None:
    modality = lut(MODALITY, [4096, 0, 8], *written(curve(4096, 8), "packed", "<"))
    voi = lut(VOI, [256, 0, 8], *written(255 - np.arange(256, dtype=np.uint16), "packed", "<"))
    shown = read(dicom(RAMP, BitsStored=12, HighBit=11, **modality, **voi))
    np.testing.assert_allclose(
        shown.pixels / 65535, 1 - curve(4096, 8).reshape(64, 64) / 255, atol=1e-4
    )


def broken(
    keyword: str, descriptor: list[int] | None, data: object, vr: str = "US"
) -> dict[str, Any]:
    tags = lut(keyword, descriptor or [1, 0, 8], vr, data)
    if descriptor is None:
        del tags[keyword][0].LUTDescriptor
    return tags


UNUSABLE: dict[str, dict[str, Any]] = {
    "modality table without data": broken(MODALITY, [4096, 0, 12], b"", "OW"),
    "modality table without descriptor": broken(MODALITY, None, [1, 2, 3]),
    "modality table of two numbers": broken(MODALITY, [4096, 0], [1, 2, 3]),
    "modality table of one grey": broken(MODALITY, [4, 0, 12], [7, 7, 7, 7]),
    "VOI table without data": broken(VOI, [4096, 0, 12], b"", "OW"),
    "VOI table of nothing": {VOI: Sequence([Dataset()])},
    "VOI table beside all values": broken(VOI, [3, 9000, 8], [0, 100, 255]),
    "slope of 0": {"RescaleSlope": "0", "RescaleIntercept": "5"},
    "intercept alone": {"RescaleIntercept": "-1024"},
    "centre alone": {"WindowCenter": "2000"},
    "width below 0": {"WindowCenter": "2000", "WindowWidth": "-100"},
    "presentation table": lut("PresentationLUTSequence", [4096, 0, 12], "US", [0] * 4096),
    "presentation of film": {"PresentationLUTShape": "LIN OD"},
    "window beside all values": {"WindowCenter": "60000", "WindowWidth": "10"},
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_what_cannot_be_applied_is_left_out_and_flagged(what: str) -> None:
    plain = read(dicom(RAMP, BitsStored=12, HighBit=11))
    shown = read(dicom(RAMP, BitsStored=12, HighBit=11, **UNUSABLE[what]))
    assert shown.facts.flags == ("unapplied-lut",)
    np.testing.assert_array_equal(shown.pixels, plain.pixels)


@pytest.mark.parametrize("said", ["2.000,0", "wide   ", "2000;00", "nan    "])
def test_a_window_of_words_is_left_out_and_flagged(said: str) -> None:
    whole = dicom(RAMP, BitsStored=12, HighBit=11, WindowCenter="1234567", WindowWidth="1500")
    shown = read(whole.replace(b"1234567", said.encode()))
    assert shown.facts.flags == ("unapplied-lut",)
    np.testing.assert_array_equal(shown.pixels, read(dicom(RAMP, BitsStored=12, HighBit=11)).pixels)


@pytest.mark.parametrize(
    "tags",
    [
        {"WindowCenter": "", "WindowWidth": ""},
        {"RescaleSlope": "1"},
        {"RescaleIntercept": "0"},
        {VOI: Sequence([])},
    ],
    ids=str,
)
def test_what_asks_for_nothing_is_no_flag(tags: dict[str, Any]) -> None:
    plain = read(dicom(RAMP, BitsStored=12, HighBit=11))
    shown = read(dicom(RAMP, BitsStored=12, HighBit=11, **tags))
    assert shown.facts.flags == ()
    np.testing.assert_array_equal(shown.pixels, plain.pixels)


def test_a_window_serves_where_the_table_cannot_and_says_so() -> None:
    window = {"WindowCenter": "2000", "WindowWidth": "1000", "BitsStored": 12, "HighBit": 11}
    shown = read(dicom(RAMP, **window, **UNUSABLE["VOI table of nothing"]))
    np.testing.assert_array_equal(shown.pixels, read(dicom(RAMP, **window)).pixels)
    assert shown.facts.flags == ("unapplied-lut",)


def test_an_unknown_voi_function_is_taken_for_linear_and_flagged() -> None:
    window = {"WindowCenter": "2000", "WindowWidth": "1000", "BitsStored": 12, "HighBit": 11}
    shown = read(dicom(RAMP, **window, VOILUTFunction="LOGISTIC"))
    np.testing.assert_array_equal(shown.pixels, read(dicom(RAMP, **window)).pixels)
    assert shown.facts.flags == ("unapplied-lut",)


CURVE = curve(4096, 8)
JUNK = np.random.default_rng(0).integers(0, 256, 4096, np.uint16) << 8
EIGHT = CURVE.astype(np.uint8).tobytes()
LENGTHS: dict[str, tuple[list[int], bytes, NDArray[np.uint16], bool]] = {
    "packed, and a word more": ([4096, 0, 8], EIGHT + b"\0\0", CURVE, True),
    "packed, and a word less": ([4096, 0, 8], EIGHT[:-2], CURVE, False),
    "something above the bits": ([4096, 0, 8], (CURVE | JUNK).astype("<u2").tobytes(), CURVE, True),
    "more bits than it says": (
        [4096, 0, 8],
        curve(4096, 12).astype("<u2").tobytes(),
        curve(4096, 12),
        True,
    ),
    "half as many words": (
        [4096, 0, 16],
        curve(2048, 16).astype("<u2").tobytes(),
        np.append(curve(2048, 16), [65535] * 2048).astype(np.uint16),
        False,
    ),
    "twice as many words": (
        [2048, 0, 12],
        np.append(curve(2048, 12), [0] * 2048).astype("<u2").tobytes(),
        np.append(curve(2048, 12), [4095] * 2048).astype(np.uint16),
        False,
    ),
}
"""Descriptor, LUT Data, the entries that are meant, and True if all of them are there."""


@pytest.mark.parametrize("what", LENGTHS)
@pytest.mark.parametrize("keyword", [MODALITY, VOI])
def test_a_table_that_fits_its_descriptor_badly_is_no_noise(keyword: str, what: str) -> None:
    descriptor, data, meant, whole = LENGTHS[what]
    shown = read(dicom(RAMP, BitsStored=12, HighBit=11, **lut(keyword, descriptor, "OW", data)))
    np.testing.assert_allclose(spread(shown.pixels), spread(meant.reshape(64, 64)), atol=1e-3)
    assert shown.facts.flags == (() if whole else ("unapplied-lut",))


@pytest.mark.parametrize("keyword", [MODALITY, VOI])
def test_a_first_value_of_unsigned_pixels_that_was_written_signed_is_known(keyword: str) -> None:
    pixels = RAMP << 4
    tables = [
        lut(keyword, [20000, first, 16], "US", curve(20000, 16).tolist())
        for first in (40000, 40000 - 65536)
    ]
    right, signed = (read(dicom(pixels, **table)) for table in tables)
    np.testing.assert_array_equal(signed.pixels, right.pixels)
    assert signed.facts.flags == ()
