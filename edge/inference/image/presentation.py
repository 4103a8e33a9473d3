"""
Stored values -> grey levels, bright = dense (DICOM PS3.3, C.11.1, C.11.2, C.11.6).

Modality, VOI and presentation LUT map a value to another whatever stands beside it. They are
computed once for every possible value instead of once for every pixel: the same numbers, without a
full-size float copy.
"""

from typing import Final, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from edge.inference.image import grey_scale
from edge.inference.image.attributes import items, text
from edge.inference.image.depth import Depth, meaning, padding
from edge.inference.image.frame import Stored
from edge.inference.image.grey_scale import Values, spread
from edge.inference.image.mammogram import Pixels

BAND_ROWS: Final = 64
"""Rows that are looked up at a time, so that no index of the whole picture is made."""
SAMPLE_STEP: Final = 4
"""Every 4th pixel of every 4th row tells which values occur."""
BYTE_BITS: Final = 8


def _opencv_looks_up() -> bool:
    """Tell if OpenCV knows tables of 16 bits: version 5 does, in a seventh of the time."""
    try:
        cv2.LUT(np.zeros((1, 1), np.uint16), np.zeros((1, 2**16), np.uint16))
    except cv2.error:
        return False
    return True


OPENCV_LOOKS_UP: Final = _opencv_looks_up()
FOR_PROCESSING: Final = frozenset(f"1.2.840.10008.5.1.4.1.1.1.{kind}.1" for kind in ("1", "2", "3"))
"""SOP classes of detector values: digital X-ray, mammography, intra-oral."""


class Shown(NamedTuple):
    """Grey levels as they are shown."""

    pixels: Pixels
    """
    Shape (rows, columns), perhaps read-only, uint8 or uint16 as they were stored, bright = dense.
    """
    background: int | None
    """The padding value as it stands in them; None where there is no padding."""
    white: int
    """Top of their range."""
    complete: bool
    """False if a table or window that the header asks for could not be applied."""


def present(header: Dataset, stored: Stored, depth: Depth) -> Shown:
    """
    Turn stored values into grey levels.

    Args:
        header: with the modality, VOI, presentation LUT and padding attributes.
        stored: shape (rows, columns), 8 or 16-bit integers; is overwritten where it may be.
        depth: of the stored values.
    """
    patterns = np.arange(2**depth.allocated, dtype=np.dtype(f"u{depth.allocated // 8}"))
    stored = stored.view(patterns.dtype)
    plain = meaning(patterns, depth)
    padded = padding(header, plain, depth)
    shares, complete = _dense(header, plain, _occurring(stored, padded))
    white = 2**depth.allocated - 1
    table = np.rint(shares * white).astype(patterns.dtype)
    background = None
    if padded.any():
        background = int(table[padded][0])
        table[padded] = background
    known: Pixels = stored.view(table.dtype)
    same = np.array_equal(table, patterns)
    pixels = known if same else _looked_up(table, known)  # mapped pixels are not even copied then
    return Shown(pixels, background, white, complete)


def photometric(header: Dataset) -> str:
    """MONOCHROME1 or MONOCHROME2, which is also what a file without it is taken for."""
    found = text(header, "PhotometricInterpretation")
    return found if found in {"MONOCHROME1", "MONOCHROME2"} else "MONOCHROME2"


def is_for_processing(header: Dataset) -> bool:
    """Return True for detector values, which were never meant to be looked at."""
    intent = text(header, "PresentationIntentType").replace("_", " ")
    return intent == "FOR PROCESSING" or text(header, "SOPClassUID") in FOR_PROCESSING


def _occurring(stored: Stored, padded: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The bit patterns that occur, padding aside, as far as a sample tells."""
    occurring = np.zeros(padded.shape, np.bool_)
    occurring[stored[::SAMPLE_STEP, ::SAMPLE_STEP].ravel()] = True
    occurring &= ~padded  # of patterns: looking for padded pixels takes twice as long
    return occurring if occurring.any() else ~padded


def _dense(
    header: Dataset, plain: NDArray[np.int32], used: NDArray[np.bool_]
) -> tuple[Values, bool]:
    """
    Compute shares of white from 0 to 1 for each bit pattern, 1 = dense.

    Args:
        header: says how.
        plain: the stored value of each bit pattern.
        used: the bit patterns that occur.

    Returns:
        The shares, and False if not all that the header asks for could be applied.
    """
    values, applied = grey_scale.modality(plain, header)
    complete = applied and _has_usual_presentation(header)
    if is_for_processing(header) and text(header, "PixelIntensityRelationship") == "LIN":
        return _attenuation(values, used, dense_is_low=_dense_is_low(header)), complete
    shares, shown = grey_scale.voi(values, header, used)
    if shares is None:
        shares = spread(values, _range(values, plain, used))
    return 1 - shares if _dark_is_dense(header) else shares, complete and shown


def _dense_is_low(header: Dataset) -> bool:
    """Read Pixel Intensity Relationship Sign: 1 = more X-rays, so less tissue, give more."""
    sign = str(header.get("PixelIntensityRelationshipSign", "")).strip()
    return sign == "1" if sign in {"1", "-1"} else _dark_is_dense(header)


def _attenuation(values: Values, used: NDArray[np.bool_], *, dense_is_low: bool) -> Values:
    """Compute from linear detector values how much tissue weakened the X-rays, 1 = dense."""
    arrived = values if dense_is_low else values.max() - values
    weakened = -np.log(np.maximum(arrived, 1))
    return spread(weakened, (float(weakened[used].min()), float(weakened[used].max())))


def _range(
    values: Values, plain: NDArray[np.int32], used: NDArray[np.bool_]
) -> tuple[float, float]:
    """
    Find the range of as many bits as the picture uses: 12 bits come in files of 16.

    Args:
        values: after the modality LUT, for each bit pattern.
        plain: before it.
        used: which bit patterns may occur.
    """
    low, high = int(plain[used].min()), int(plain[used].max())
    bits = max(BYTE_BITS, (max(high, -low - 1)).bit_length())
    inside = (plain >= (-(2**bits) if low < 0 else 0)) & (plain < 2**bits)
    return float(values[inside].min()), float(values[inside].max())


def _has_usual_presentation(header: Dataset) -> bool:
    """Tell if the presentation LUT is one of the two shapes that images have, and no table."""
    shape = text(header, "PresentationLUTShape")
    return shape in {"", "IDENTITY", "INVERSE"} and not items(header, "PresentationLUTSequence")


def _dark_is_dense(header: Dataset) -> bool:
    """Read Presentation LUT Shape, as DCMTK does, else Photometric Interpretation."""
    shape = text(header, "PresentationLUTShape")
    return (
        shape == "INVERSE"
        if shape in {"IDENTITY", "INVERSE"}
        else photometric(header) == "MONOCHROME1"
    )


def _looked_up(table: Pixels, known: Pixels) -> Pixels:
    """Each pixel's grey level, in the same memory where it may be."""
    pixels = (
        known
        if known.flags.writeable and known.flags.c_contiguous
        else np.empty(known.shape, table.dtype)
    )
    if OPENCV_LOOKS_UP and known.flags.c_contiguous:
        return cast("Pixels", cv2.LUT(known, table[np.newaxis], dst=pixels))
    for row in range(0, known.shape[0], BAND_ROWS):
        band = slice(row, row + BAND_ROWS)
        # no index is out of range: this way none is checked
        np.take(table, known[band], out=pixels[band], mode="clip")
    return pixels
