"""
Stored values -> grey levels, bright = dense: modality LUT, VOI and presentation LUT (DICOM PS3.3,
C.11.1, C.11.2, C.11.6).

Each of them maps a stored value to another whatever stands beside it, so they are computed once for
every possible value instead of once for every pixel: the same numbers, without a full-size float
copy.
"""

from typing import Any, Final, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from edge.inference.image import Pixels, grey_scale
from edge.inference.image.attributes import WRONG, text
from edge.inference.image.codecs import Stored
from edge.inference.image.grey_scale import Values, spread

BAND_ROWS: Final = 64
"""Rows that are looked up at a time, so that no index of the whole picture is made."""
SAMPLE_STEP: Final = 4
"""Every 4th pixel of every 4th row tells which values occur."""
BYTE_BITS: Final = 8


def _opencv_looks_up() -> bool:
    """Whether OpenCV knows tables of 16 bits: version 5 does, in a seventh of the time."""
    try:
        cv2.LUT(np.zeros((1, 1), np.uint16), np.zeros((1, 2**16), np.uint16))
    except cv2.error:
        return False
    return True


OPENCV_LOOKS_UP: Final = _opencv_looks_up()
FOR_PROCESSING: Final = frozenset(f"1.2.840.10008.5.1.4.1.1.1.{kind}.1" for kind in ("1", "2", "3"))
"""SOP classes of detector values: digital X-ray, mammography, intra-oral."""


class Depth(NamedTuple):
    """How a stored value lies in its bits."""

    allocated: int
    stored: int
    high_bit: int
    signed: bool

    @property
    def shift(self) -> int:
        """By how much old files keep values left of where they are now."""
        return min(max(0, self.high_bit + 1 - self.stored), self.allocated - self.stored)


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
    padded = _padding(header, plain, depth)
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


def meaning(patterns: NDArray[np.unsignedinteger[Any]], depth: Depth) -> NDArray[np.int32]:
    """
    What each bit pattern means: bits beside those stored are no part of the value (old files keep
    overlays there).
    """
    values: NDArray[np.int32] = patterns.astype(np.int32) >> depth.shift & (2**depth.stored - 1)
    if depth.signed:
        values[values >= 2 ** (depth.stored - 1)] -= 2**depth.stored
    return values


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
    look = stored[::SAMPLE_STEP, ::SAMPLE_STEP].ravel()
    occurring = np.zeros(padded.shape, np.bool_)
    kept = look[~padded[look]] if padded.any() else look
    occurring[kept] = True
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
    values, complete = grey_scale.modality(plain, header)
    if is_for_processing(header) and text(header, "PixelIntensityRelationship") == "LIN":
        return _attenuation(values, used, dense_is_low=_dense_is_low(header)), complete
    shares, shown = grey_scale.voi(values, header, used)
    if shares is None:
        shares = spread(values, _range(values, plain, used))
    return 1 - shares if _dark_is_dense(header) else shares, complete and shown


def _dense_is_low(header: Dataset) -> bool:
    """
    Pixel Intensity Relationship Sign says it: 1 = more X-rays give greater values, so tissue gives
    smaller ones.
    """
    sign = str(header.get("PixelIntensityRelationshipSign", "")).strip()
    return sign == "1" if sign in {"1", "-1"} else _dark_is_dense(header)


def _attenuation(values: Values, used: NDArray[np.bool_], *, dense_is_low: bool) -> Values:
    """
    Linear detector values -> how much the tissue weakened the X-rays: a logarithm, as it weakens
    them exponentially; 1 = dense.
    """
    arrived = values if dense_is_low else values.max() - values
    weakened = -np.log(np.maximum(arrived, 1))
    return spread(weakened, (float(weakened[used].min()), float(weakened[used].max())))


def _range(
    values: Values, plain: NDArray[np.int32], used: NDArray[np.bool_]
) -> tuple[float, float]:
    """
    The range that so many bits give as the picture really uses: 12-bit pictures come in files that
    say 16.

    Args:
        values: after the modality LUT, for each bit pattern.
        plain: before it.
        used: which bit patterns may occur.
    """
    low, high = int(plain[used].min()), int(plain[used].max())
    bits = max(BYTE_BITS, (max(high, -low - 1)).bit_length())
    inside = (plain >= (-(2**bits) if low < 0 else 0)) & (plain < 2**bits)
    return float(values[inside].min()), float(values[inside].max())


def _dark_is_dense(header: Dataset) -> bool:
    """
    Presentation LUT Shape says it where it stands, as for DCMTK; MONOCHROME1 without one says it
    too.
    """
    shape = text(header, "PresentationLUTShape")
    return (
        shape == "INVERSE"
        if shape in {"IDENTITY", "INVERSE"}
        else photometric(header) == "MONOCHROME1"
    )


def _padding(header: Dataset, plain: NDArray[np.int32], depth: Depth) -> NDArray[np.bool_]:
    """
    Which bit patterns are padding: Pixel Padding Value, or all up to Pixel Padding Range Limit, in
    stored values.
    """
    padded = np.zeros(plain.shape, np.bool_)
    try:
        one = int(header.PixelPaddingValue)
        limit = header.get("PixelPaddingRangeLimit")
        other = one if limit in {None, ""} else int(limit)  # 0 is a limit
    except WRONG:
        return padded
    low, high = sorted(_as_stored(each, depth) for each in (one, other))
    if low == high and not plain.min() <= low <= plain.max():
        padded[low % 2**depth.allocated] = (
            True  # beside what the stored bits can hold, as some devices write it
        )
        return padded
    return (plain >= low) & (plain <= high)


def _as_stored(value: int, depth: Depth) -> int:
    """A padding value that came as unsigned although the pixels are signed."""
    half = 2 ** (depth.allocated - 1)
    return value - 2 * half if depth.signed and value >= half else value


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
        np.take(
            table, known[band], out=pixels[band], mode="clip"
        )  # no index is out of range: this way none is checked
    return pixels
