"""Correct files of every kind, over a grid: grey levels as dcmj2pnm's, frames as GDCM's."""

import itertools
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.inference.image import Limits, Mammogram, decode
from tests.support.films import dicom, small
from tests.support.frames import JPEG_2000, SYNTAXES, frame, with_frame
from tests.support.tools import need

RESCALES = ((1.0, 0.0), (2.0, -100.0), (-1.0, 4095.0))
WINDOWS = (("LINEAR", 0.5, 0.4), ("SIGMOID", 0.5, 0.3), ("LINEAR", 0.3, 0.9))
"""Function, and centre and width as shares of the range."""
SHAPES = (None, "INVERSE", "IDENTITY")


def read(data: bytes) -> Mammogram:
    return decode(data, Limits())


def ramp(bits: int, *, signed: bool) -> NDArray[Any]:
    """Values over the whole range of so many bits."""
    values = np.arange(4096) * 2**bits // 4096 - 2 ** (bits - 1) * signed
    kind = f"{'i' if signed else 'u'}{1 if bits == 8 else 2}"
    return np.asarray(values, kind).reshape(64, 64)


def tags(bits: int, *, signed: bool) -> dict[str, Any]:
    return {"BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": int(signed)}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_windows_and_rescales_are_applied_as_dcmtk_does(
    bits: int, *, signed: bool, tmp_path: Path
) -> None:
    photometrics = ("MONOCHROME1", "MONOCHROME2")
    grid = list(itertools.product(photometrics, SHAPES, RESCALES, WINDOWS))
    for photometric, shape, (slope, intercept), window in grid[bits % 3 :: 3]:
        pixels = ramp(bits, signed=signed)
        ends = (float(pixels.min()) * slope + intercept, float(pixels.max()) * slope + intercept)
        low, high = sorted(ends)
        asked = tags(bits, signed=signed) | {
            "PhotometricInterpretation": photometric,
            "PresentationLUTShape": shape,
            "RescaleSlope": f"{slope:g}",
            "RescaleIntercept": f"{intercept:g}",
            "VOILUTFunction": window[0],
            "WindowCenter": f"{low + window[1] * (high - low):.1f}",
            "WindowWidth": f"{window[2] * (high - low):.1f}",
        }
        data = dicom(pixels, **asked)
        image = read(data)
        shown = _by_dcmtk(data, tmp_path)
        np.testing.assert_allclose(
            image.pixels / (image.white or 1), shown, atol=1.6 / 255, err_msg=str(asked)
        )
        assert image.facts.flags == ()


def _by_dcmtk(data: bytes, folder: Path) -> NDArray[np.float64]:
    source, target = folder / "a.dcm", folder / "a.pgm"
    source.write_bytes(data)
    command = [need("dcmj2pnm", "dcmtk"), "+op", "+Wi", "1", str(source), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    shown = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    assert shown is not None
    return shown.astype(np.float64) / 255


DEPTHS = {"jpeg lossless": (8, 10, 12, 14, 16), "jpeg-ls": (8, 16), "htj2k": (), "rle": (8, 12, 16)}


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in SYNTAXES if kind != "htj2k"])
def test_frames_are_read_as_gdcm_reads_them(
    kind: str, photometric: str, *, signed: bool, tmp_path: Path
) -> None:
    for bits in DEPTHS.get(kind, (8, 10, 12, 14, 16)):
        film = np.rint(small(96, 64) / 255 * (2**bits - 1)).astype(np.int64)
        number = f"{'i' if signed else 'u'}{1 if bits == 8 else 2}"
        pixels = (film - 2 ** (bits - 1) * signed).astype(number)
        depth = tags(bits, signed=signed) | {"PhotometricInterpretation": photometric}
        packed = with_frame(pixels, SYNTAXES[kind], frame(kind, pixels, bits), **depth)
        source, target = tmp_path / "packed.dcm", tmp_path / "raw.dcm"
        source.write_bytes(packed)
        command = [need("gdcmconv", "libgdcm-tools"), "--raw", str(source), str(target)]
        subprocess.run(command, check=True, capture_output=True)
        ours = read(packed)
        np.testing.assert_array_equal(
            ours.pixels, read(target.read_bytes()).pixels, err_msg=f"{kind}, {bits} bits"
        )
        np.testing.assert_array_equal(ours.pixels, read(dicom(pixels, **depth)).pixels)
        assert ours.facts.flags == ()


def test_a_jpeg_2000_in_boxes_is_read_as_without_them() -> None:
    file = cv2.imencode(".jp2", small(96, 64))[1].tobytes()
    bare = file[file.index(b"\xff\x4f\xff\x51") :]
    shown = [read(with_frame(small(96, 64), JPEG_2000, each)).pixels for each in (file, bare)]
    np.testing.assert_array_equal(shown[0], shown[1])
