"""Stored values in their bits: how many there are, their sign, and the value that is padding."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from edge.inference.image.attributes import WRONG


class Depth(NamedTuple):
    """A stored value's place in its bits."""

    allocated: int
    stored: int
    high_bit: int
    signed: bool

    @property
    def shift(self) -> int:
        """By how much old files keep values left of where they are now."""
        return min(max(0, self.high_bit + 1 - self.stored), self.allocated - self.stored)


def meaning(patterns: NDArray[np.unsignedinteger[Any]], depth: Depth) -> NDArray[np.int32]:
    """Compute the value of each bit pattern; bits beside those stored are none of it."""
    values: NDArray[np.int32] = patterns.astype(np.int32) >> depth.shift & (2**depth.stored - 1)
    if depth.signed:
        values[values >= 2 ** (depth.stored - 1)] -= 2**depth.stored
    return values


def padding(header: Dataset, plain: NDArray[np.int32], depth: Depth) -> NDArray[np.bool_]:
    """Mark padding: Pixel Padding Value, or all up to Pixel Padding Range Limit."""
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
