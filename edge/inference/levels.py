"""Grey levels: their quantiles and shares, and a spread over 256 of them."""

from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Levels: TypeAlias = NDArray[np.uint8]

MANY: Final = 4096
"""From so many values on, counting them is faster than sorting them."""
LEADING: Final = 14
"""So many leading bits of a float part values from 1 on by a 32nd of their size, or less."""


def quantiles(values: NDArray[Any], *percent: float) -> tuple[float, ...]:
    """
    Find the values at these percentiles, without interpolation.

    NumPy's partition (2.4) takes longer: twice as long, and for one place forty times if more than
    half of the values are equal, as those of air are.
    """
    flat = values.ravel()
    places = [round((flat.size - 1) * each / 100) for each in percent]
    count = flat.size >= MANY and flat.dtype == np.float32
    return tuple(float(found) for found in (_counted if count else _sorted)(flat, places))


def _sorted(flat: NDArray[Any], places: list[int]) -> list[Any]:
    """The values at these places of their order."""
    ordered = np.sort(flat)
    return [ordered[place] for place in places]


def _counted(flat: NDArray[np.float32], places: list[int]) -> list[Any]:
    """
    Find the values at these places of their order, by counting.

    The bits of floats from 0 on have the order of the floats. So their leading ones are counted,
    and only floats that have these in common are sorted.
    """
    leading = (flat.view(np.uint32) >> np.uint32(32 - LEADING)).astype(np.uint16)
    counts = np.bincount(leading)
    if len(counts) > 2 ** (LEADING - 1):  # the first bit is the sign: there are negative ones
        return _sorted(flat, places)
    ends = counts.cumsum()
    found = []
    for place in places:
        group = int(ends.searchsorted(place, side="right"))
        first = int(ends[group] - counts[group])
        found += _sorted(flat[leading == group], [place - first])
    return found


def spread(values: NDArray[Any], low: float, high: float) -> Levels:
    """Spread the values from `low` to `high` over 256 grey levels."""
    scaled = (np.asarray(values, np.float32) - np.float32(low)) * np.float32(
        255 / max(high - low, 1e-6)
    )
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)


def shares(levels: Levels) -> NDArray[np.float64]:
    """Return the share of the picture that has each of 256 levels, shape (256,)."""
    counts = cv2.calcHist([levels], [0], None, [256], [0, 256])
    return counts.ravel().astype(np.float64) / levels.size
