"""
The bits and the sign that a compressed frame says it has, against what DICOM's header says.

Usually they agree, or do not matter: a frame of 16 bits that uses the 12 of the header, a signed
one without negative values. Else the pixels decide: read with the wrong sign a picture is torn at
half of its range, so neighbours are nearer to each other by the right reading. A frame's additional
bits are values, unless the header says that overlays lie there. Run lengths and uncompressed pixels
have no word of their own: bits above those stored are values if the picture is torn without them
at the seams, where these bits change, and show the sign if they repeat it.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from edge.errors import ImageRejected, Reason
from edge.inference.image.depth import Depth, meaning
from edge.inference.image.frame import Decoded

OVERLAY_GROUPS: Final = range(0x6000, 0x6020, 2)
OVERLAY_BIT: Final = 0x0102
"""Element of Overlay Bit Position: 0 for overlays that lie apart from the pixels."""
IN_STORED_VALUES: Final = (
    "ModalityLUTSequence",
    "RescaleSlope",
    "VOILUTSequence",
    "WindowCenter",
    "PixelPaddingValue",
)
"""Attributes whose values depend on the sign."""
ROW_STEP: Final = 8
"""Every 8th row is looked at for tears."""
CLEARLY: Final = 0.8
"""The right reading's neighbours differ by at most this share of the wrong one's."""


def agreed(header: Dataset, depth: Depth, decoded: Decoded) -> Depth:
    """
    Compare what header and frame say of a stored value, and return what holds.

    Args:
        header: of the DICOM object.
        depth: what it says.
        decoded: the frame.

    Raises:
        ImageRejected: they contradict each other, and the pixels do not tell who is right.
    """
    if not decoded.header.bits:
        return wide(header, depth, decoded.values)
    depth = _bits(header, depth, decoded)
    if decoded.header.signed == depth.signed or decoded.header.kind not in {"jpeg 2000", "htj2k"}:
        return depth  # the others have no sign of their own
    return _sign(header, depth, decoded)


def _bits(header: Dataset, depth: Depth, decoded: Decoded) -> Depth:
    found = decoded.header.bits
    if found <= depth.stored:  # nothing can lie above the frame's own bits
        return depth._replace(high_bit=depth.stored - 1)
    top = depth.high_bit + 1
    if found <= top or _fits(decoded.values, top, depth) or _has_overlays(header):
        return depth
    return depth._replace(stored=found, high_bit=found - 1)


def wide(header: Dataset, depth: Depth, values: NDArray[Any]) -> Depth:
    """
    Take the bits above those stored for values, as many as there are, if that heals a tear.

    Args:
        header: of the DICOM object.
        depth: what it says.
        values: shape (rows, columns), as they lie in the file.
    """
    top = max(depth.high_bit + 1, depth.stored)
    if top >= depth.allocated or _fits(values, top, depth) or _has_overlays(header):
        return depth
    if not depth.shift and _fits(values, top, depth._replace(signed=True)):
        return depth._replace(signed=True)  # the bits above repeat a sign
    bits = next(bits for bits in range(top + 1, depth.allocated + 1) if _fits(values, bits, depth))
    whole = depth._replace(stored=bits, high_bit=bits - 1)
    return whole if _is_torn(values, top, depth, whole) else depth


def _is_torn(values: NDArray[Any], top: int, depth: Depth, whole: Depth) -> bool:
    """
    Tell if `whole` heals more than it tears, of neighbours in a row whose upper bits differ.

    A step of half of the range by one reading, and not of a quarter by the other, is a tear. Beside
    padding both have a step, so a large border outvotes no small bright spot.
    """
    patterns = values.view(np.dtype(f"u{values.dtype.itemsize}"))
    above = (patterns + patterns.dtype.type(2 ** (top - 1) if depth.signed else 0)) >> top
    seam = above[:, 1:] != above[:, :-1]
    left, right = patterns[:, :-1][seam], patterns[:, 1:][seam]
    without, with_them = (
        np.abs(meaning(left, each) - meaning(right, each)) << each.shift for each in (depth, whole)
    )
    half = 1 << (top - 1)
    healed = (without >= half) & (with_them < half // 2)
    torn = (with_them >= half) & (without < half // 2)
    return bool(healed.sum() > torn.sum())


def _fits(values: NDArray[Any], top: int, depth: Depth) -> bool:
    """Tell if all values lie within so many bits; those above may repeat the sign."""
    if depth.signed:
        values = values.view(np.dtype(f"i{values.dtype.itemsize}"))
        return bool(values.min() >= -(2 ** (top - 1)) and values.max() < 2 ** (top - 1))
    return bool(values.view(np.dtype(f"u{values.dtype.itemsize}")).max() < 2**top)


def _has_overlays(header: Dataset) -> bool:
    tags = [(group, OVERLAY_BIT) for group in OVERLAY_GROUPS]
    return any(header[tag].value for tag in tags if tag in header)


def _sign(header: Dataset, depth: Depth, decoded: Decoded) -> Depth:
    """The sign by which the picture is not torn."""
    if depth.signed and decoded.header.bits < depth.stored:
        return _narrow(depth, decoded)
    theirs = depth._replace(signed=decoded.header.signed)
    half = 1 << depth.high_bit
    if not (decoded.values.astype(np.int32) & half).any():
        return depth  # both readings are the same
    by_header, by_frame = _roughness(decoded.values, depth), _roughness(decoded.values, theirs)
    if by_header <= CLEARLY * by_frame:
        return depth
    if not any(key in header and not header[key].is_empty for key in IN_STORED_VALUES):
        return theirs
    said, found = ("signed", "unsigned") if depth.signed else ("unsigned", "signed")
    detail = f"the frame's values are {found}, the header says {said}"
    raise ImageRejected(Reason.UNREADABLE, detail)


def _narrow(depth: Depth, decoded: Decoded) -> Depth:
    """Take the highest bit of an unsigned, narrower frame for the sign, if that heals a tear."""
    bits = decoded.header.bits
    narrow = depth._replace(stored=bits, high_bit=bits - 1)
    torn = CLEARLY * _roughness(decoded.values, depth)
    return narrow if _roughness(decoded.values, narrow) <= torn else depth


def _roughness(values: NDArray[Any], depth: Depth) -> float:
    """Compute the mean difference between neighbours in a row."""
    rows = values[::ROW_STEP].astype(np.int32) & (2**depth.stored - 1)
    if depth.signed:
        half = 2 ** (depth.stored - 1)
        rows = (rows ^ half) - half
    return float(np.abs(np.diff(rows, axis=1)).mean()) if rows.shape[1] > 1 else 0.0
