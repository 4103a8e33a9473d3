"""
Take thin lines that are drawn all round a picture, a little inside it, out of its small copy.

There they would part the breast from its chest wall. A film's bright edges are no such lines: none
has one level, and no film shows them at all four sides.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.inference.margin_lines import ABRUPT, UNIFORM, sampled
from edge.inference.small_copy import Small

DEEP: Final = 0.045
"""Lines are looked for so near to each side, as a share of the picture's longest side."""
THIN: Final = 0.015
"""A line is at most so wide, as a share of the picture's longest side."""
FEW: Final = 16
"""The number of pixels of each line that are looked at first."""
MOST: Final = (0.1, 0.9)
"""Between these shares of a line's sorted pixels lies most of it."""
LEAST: Final = 0.2
"""At most this share of a line has another level."""
DIFFERENT: Final = 0.3
"""A line differs from what is beside it in at least this share of its pixels."""
BESIDE: Final = 2
"""A line and what is beside it are compared so many pixels apart: nearer are mixtures."""


class _Line(NamedTuple):
    first: int
    """The first row of the line, counted from a side of the picture."""
    after: int
    """The first row after it."""


def without_lines(small: Small, pixels: NDArray[Any]) -> Small:
    """
    Interpolate over the lines drawn all round; the same copy if there are none.

    Args:
        small: the small copy, shape (rows, columns).
        pixels: the picture of which it is a copy.
    """
    span = float(np.ptp(small))
    found = []
    for view in (pixels, pixels[::-1], pixels.T, pixels.T[::-1]):
        lines = list(_lines(view, span))
        if not lines:
            return small
        found.append(lines)
    small = small.copy()
    views = (small, small[::-1], small.T, small.T[::-1])
    lengths = (*pixels.shape[:1] * 2, *pixels.shape[1:] * 2)
    for view, lines, length in zip(views, found, lengths, strict=True):
        for line in lines:
            _interpolate(view, line, len(view) / length)
    return small


def _lines(rows: NDArray[Any], span: float) -> Iterator[_Line]:
    """Find the lines along one side."""
    longest = max(rows.shape)
    near = sampled(rows[: round(DEEP * longest)])
    if not len(near):
        return
    few = np.sort(near[:, :: max(1, near.shape[1] // FEW)], axis=1).astype(np.float32)
    at = [round((few.shape[1] - 1) * each) for each in (*MOST, 0.5)]
    low, high, levels = few[:, at].T
    even = high - low <= UNIFORM * span
    ends = np.abs(np.diff(levels)) > UNIFORM * span
    starts = np.flatnonzero(np.concatenate([[True], ends | ~even[1:] | ~even[:-1]]))
    for first, after in pairwise([*starts.tolist(), len(near)]):
        thin = after - first <= max(1, THIN * longest)
        if thin and even[first] and _is_drawn(near, first, after, span):
            yield _Line(first, after)


def _is_drawn(near: NDArray[Any], first: int, after: int, span: float) -> bool:
    """If most of these lines has one level, and what is beside them has another."""
    level = float(np.median(near[first]))
    if any(_differs(line, level, UNIFORM * span) > LEAST for line in near[first:after]):
        return False
    inside = near[min(after - 1 + BESIDE, len(near) - 1)]
    if _differs(inside, level, ABRUPT * span) < DIFFERENT:
        return False
    if first:
        outside = near[max(0, first - BESIDE)]
        return _differs(outside, level, ABRUPT * span) >= DIFFERENT
    return level > float(np.median(inside))  # else it is air


def _differs(line: NDArray[Any], level: float, least: float) -> float:
    """The share of a line that differs from a level by more than that."""
    return float(np.mean(np.abs(line.astype(np.float32) - np.float32(level)) > least))


def _interpolate(rows: Small, line: _Line, scale: float) -> None:
    """Replace a line by what lies between the rows beside it, in place."""
    before = int((line.first - 1) * scale) - 1
    after = min(len(rows) - 1, int((line.after + 1) * scale) + 1)
    if before < 0:
        rows[:after] = rows[after]
        return
    share = np.linspace(0, 1, after - before + 1, dtype=np.float32)[1:-1, np.newaxis]
    rows[before + 1 : after] = (1 - share) * rows[before] + share * rows[after]
