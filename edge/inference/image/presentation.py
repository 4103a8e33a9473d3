"""
Stored values -> grey levels, bright = dense: modality LUT, VOI and presentation LUT (DICOM PS3.3,
C.11.1, C.11.2, C.11.6).

Each of them maps a stored value to another whatever stands beside it, so they are computed once for
every possible value instead of once for every pixel: the same numbers, without a full-size float
copy.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from edge.inference.image import Pixels
from edge.inference.image.codecs import Stored

Values: TypeAlias = NDArray[np.float64]
"""Shape (number of bit patterns,)."""

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
WRONG: Final = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    NotImplementedError,
    OverflowError,
    FloatingPointError,
)
"""
What pydicom raises where a table or a window makes no sense; it is then left out, as viewers do.
"""


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
    shares = _dense(header, plain, _occurring(stored, padded))
    white = 2**depth.allocated - 1
    table = np.rint(shares * white).astype(patterns.dtype)
    background = None
    if padded.any():
        background = int(table[padded][0])
        table[padded] = background
    known: Pixels = stored.view(table.dtype)
    pixels = (
        known if np.array_equal(table, patterns) else _looked_up(table, known)
    )  # mapped pixels are not even copied then
    return Shown(pixels, background, white)


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
    found = str(header.get("PhotometricInterpretation", "")).strip()
    return found if found in {"MONOCHROME1", "MONOCHROME2"} else "MONOCHROME2"


def is_for_processing(header: Dataset) -> bool:
    """Whether these are detector values that were never meant to be looked at."""
    return str(header.get("PresentationIntentType", "")).strip() == "FOR PROCESSING"


def _occurring(stored: Stored, padded: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The bit patterns that occur, padding aside, as far as a sample tells."""
    look = stored[::SAMPLE_STEP, ::SAMPLE_STEP].ravel()
    occurring = np.zeros(padded.shape, np.bool_)
    kept = look[~padded[look]] if padded.any() else look
    occurring[kept] = True
    return occurring if occurring.any() else ~padded


def _dense(header: Dataset, plain: NDArray[np.int32], used: NDArray[np.bool_]) -> Values:
    """
    Shares of white from 0 to 1 for each bit pattern, 1 = dense.

    Args:
        header: says how.
        plain: the stored value of each bit pattern.
        used: the bit patterns that occur.
    """
    values = _modality(plain, header)
    if is_for_processing(header) and _text(header, "PixelIntensityRelationship") == "LIN":
        return _attenuation(values, used, dense_is_low=_dense_is_low(header))
    shares = _voi(values, header)
    if shares is None or _hides(shares[used], values[used]):
        shares = _spread(values, _range(values, plain, used))
    return 1 - shares if _dark_is_dense(header) else shares


def _dense_is_low(header: Dataset) -> bool:
    """
    Pixel Intensity Relationship Sign says it: 1 = more X-rays give greater values, so tissue gives
    smaller ones.
    """
    sign = str(header.get("PixelIntensityRelationshipSign", "")).strip()
    return sign == "1" if sign in {"1", "-1"} else _dark_is_dense(header)


def _modality(values: NDArray[np.int32], header: Dataset) -> Values:
    try:
        _repair(header.get("ModalityLUTSequence"), signed=values.min() < 0)
        found = np.asarray(apply_modality_lut(values, header), np.float64)
    except WRONG:
        return values.astype(np.float64)
    return (
        found
        if np.isfinite(found).all() and found.min() < found.max()
        else values.astype(np.float64)
    )


def _voi(values: Values, header: Dataset) -> Values | None:
    """VOI LUT or the first window, from 0 to 1; None where there is none that makes sense."""
    if header.get("VOILUTSequence"):
        try:
            _repair(header.VOILUTSequence, signed=values.min() < 0)
            return _spread(
                np.asarray(apply_voi(values.astype(np.int64), header, index=0), np.float64)
            )
        except WRONG:
            pass
    window = _window(header)
    if window is None:
        return None
    return FUNCTIONS.get(_text(header, "VOILUTFunction"), _linear)(values, *window)


def _repair(luts: Sequence[Dataset] | None, *, signed: bool) -> None:
    """
    A LUT Descriptor's first number is unsigned and its second as the pixels are, whatever VR they
    came under.
    """
    for item in luts or ():
        count, first, bits = (int(number) for number in item.LUTDescriptor)
        item["LUTDescriptor"].value = [
            count % 2**16,
            first - 2**16 if signed and first >= 2**15 else first,
            bits,
        ]


def _window(header: Dataset) -> tuple[float, float] | None:
    """Centre and width of the first window, where they are numbers a window can have."""
    try:
        centre, width = (
            float(np.atleast_1d(header[keyword].value)[0])
            for keyword in ("WindowCenter", "WindowWidth")
        )
    except WRONG:
        return None
    narrowest = 0.0 if _text(header, "VOILUTFunction") in {"LINEAR_EXACT", "SIGMOID"} else 1.0
    sensible = math.isfinite(centre) and math.isfinite(width) and width > 0 and width >= narrowest
    return (centre, width) if sensible else None


def _linear(values: Values, centre: float, width: float) -> Values:
    """C.11.2.1.2.1; a width of 1 is a threshold."""
    return np.clip((values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5, 0, 1)


def _linear_exact(values: Values, centre: float, width: float) -> Values:
    """C.11.2.1.3.2."""
    return np.clip((values - centre) / width + 0.5, 0, 1)


def _sigmoid(values: Values, centre: float, width: float) -> Values:
    """C.11.2.1.3.1; its ends are spread to black and white, which changes no order and no ratio."""
    with np.errstate(over="ignore"):
        return _spread(1 / (1 + np.exp(-4 * (values - centre) / width)))


FUNCTIONS: Final[Mapping[str, Callable[[Values, float, float], Values]]] = {
    "LINEAR_EXACT": _linear_exact,
    "SIGMOID": _sigmoid,
}


def _attenuation(values: Values, used: NDArray[np.bool_], *, dense_is_low: bool) -> Values:
    """
    Linear detector values -> how much the tissue weakened the X-rays: a logarithm, as it weakens
    them exponentially; 1 = dense.
    """
    arrived = values if dense_is_low else values.max() - values
    weakened = -np.log(np.maximum(arrived, 1))
    return _spread(weakened, (float(weakened[used].min()), float(weakened[used].max())))


def _spread(values: Values, ends: tuple[float, float] | None = None) -> Values:
    low, high = ends or (float(values.min()), float(values.max()))
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)


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


def _hides(shares: Values, values: Values) -> bool:
    """Whether all of a picture that is not flat is shown as one grey: its window lies beside it."""
    return bool(shares.min() == shares.max() and values.min() < values.max())


def _dark_is_dense(header: Dataset) -> bool:
    """
    Presentation LUT Shape says it where it stands, as for DCMTK; MONOCHROME1 without one says it
    too.
    """
    shape = _text(header, "PresentationLUTShape")
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


def _text(header: Dataset, keyword: str) -> str:
    return str(header.get(keyword) or "").strip().upper()


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
