"""
Interpolate linearly between the pixels of a picture, to the same bits on every machine.

OpenCV's own way rounds otherwise on ARM than on x86, and in version 4 than in version 5.
"""

from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Places: TypeAlias = NDArray[np.float64]
"""Ascending, in pixels: 0 is the centre of the first one."""

TOGETHER: Final = 64
"""So many rows are made together: they stay in the processor's cache."""


def cells_of(count: int, start: float, stop: float, scale: float) -> Places:
    """Centres of `count` cells over start .. stop, in units of a picture `scale` times as large."""
    return (start + (np.arange(count) + 0.5) * (stop - start) / count) * scale - 0.5


def is_inside(places: Places, count: int) -> NDArray[np.bool_]:
    """Tell the places that lie on a picture of `count` pixels."""
    nearest = np.rint(places)
    return np.asarray((nearest >= 0) & (nearest < count))


def over(values: Floats, y: Places, x: Places) -> Floats:
    """Interpolate at these rows and columns; beyond the picture its last pixels go on."""
    first, last = (int(np.clip(end, 0, values.shape[1] - 1)) for end in x[[0, -1]])
    used = np.ascontiguousarray(values[:, first : last + 2])
    before, after, share = _between(y, used.shape[0])
    columns = _between(x - first, used.shape[1])
    found = np.empty((len(y), len(x)), np.float32)
    for start in range(0, len(y), TOGETHER):
        part = slice(start, start + TOGETHER)
        turned = cv2.transpose(_along(used, before[part], after[part], share[part]))
        found[part] = cv2.transpose(_along(np.asarray(turned, np.float32), *columns))
    return found


def _between(places: Places, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Find the lines before and after each place, of `count`, and the share of the latter."""
    places = np.clip(places, 0, count - 1)
    before = places.astype(np.intp)
    share = (places - before).astype(np.float32)
    return before, np.minimum(before + 1, count - 1), share[:, np.newaxis]


def _along(
    values: Floats, before: NDArray[np.intp], after: NDArray[np.intp], share: Floats
) -> Floats:
    """Interpolate between whole rows, which are fast to copy."""
    first, second = values.take(before, axis=0), values.take(after, axis=0)
    first *= 1 - share
    second *= share
    first += second
    return first
