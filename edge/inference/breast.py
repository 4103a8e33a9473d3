"""
Find the breast on a small copy with dark air: the largest thing that is brighter than air.

A level above it parts breast from air. Several are tried, from the lowest on, until what
lies above one of them has the shape of a breast: it leaves the side opposite to the chest wall
mostly free.
The breast is then opened by a disc of its own size, so that labels fall off, its details next to
the skin are put back, and its holes are filled, for dark fat and marks on a breast are breast.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.air_levels import Cut, cuts_of
from edge.inference.film_edges import without_edges
from edge.inference.levels import Levels, quantiles, spread
from edge.inference.morphology import Bits, closed, drawn, filled, opened, outlines_of, widened
from edge.inference.small_copy import Small

Mask: TypeAlias = NDArray[np.bool_]

GRAIN: Final = 5
"""Side of the median filter, in pixels: grain goes, and edges stay where they are."""
GAP: Final = 0.025
"""Radius of the disc that closes dark fat in digital mammograms, as a share of the longest side."""
OPENING: Final = 0.15
"""Radius of the opening disc as a share of the root of the breast's area: labels are thinner."""
DETAIL: Final = 0.35
"""The share of that radius within which removed tissue is put back."""
WALL: Final = 0.04
"""Tissue within this share of a side of the picture is taken to reach it, if that is the wall."""
CONTENDER: Final = 0.2
"""Share of the largest thing's area from which on a smaller one may have more light in it."""
FREE: Final = 0.35
"""The breast reaches the side opposite to the chest wall over less of its height than this."""
FULL: Final = 0.95
"""A breast covers less than this share of the picture."""
EMPTY: Final = 0.02
"""A breast covers more than this share of the picture."""
CLEAN: Final = 0.25
"""Air that has one level only, the lowest, covers at least this share of the picture."""
TYPICAL: Final = 60.0
"""The percentile of what is brighter than clean air that is a typical level of the breast."""
TYPICAL_SHARE: Final = 0.35
"""A typical level of the breast is at least this share of all levels: muscle saturates."""
DIM: Final = 0.6
"""A breast that is darker than this share of all levels is looked for again, in its own levels."""


@dataclass(frozen=True, slots=True)
class Breast:
    """The breast on the small copy."""

    mask: Mask
    """Shape of the small copy; all False if no breast was found."""
    tissue: Mask
    """The part of `mask` that is brighter than air: without dark marks."""
    free: bool = False
    """The shape of a breast: the side opposite to the chest wall is mostly free."""
    second: float = 0.0
    """Area of the second largest thing beside the breast, as a share of the breast's."""

    @property
    def fraction(self) -> float:
        """Share of the area that the breast covers."""
        return float(self.mask.mean())

    @property
    def on_right(self) -> bool:
        """Tell if the chest wall is on the right, where more than half of the breast is."""
        columns = np.flatnonzero(self.mask.any(axis=0))
        if not len(columns):
            return False
        seen = self.mask[:, columns[0] : columns[-1] + 1]
        half = seen.shape[1] // 2
        return bool(seen[:, -half:].sum() > seen[:, :half].sum()) if half else False


class _Found(NamedTuple):
    mask: Mask
    tissue: Mask
    second: float
    free: bool
    reach: float


def find_breast(small: Small) -> Breast:
    """
    Find the breast on a small copy with dark air.

    Breast and air are told apart by the triangle method (Zack, Rogers and Latt, 1977) from the mode
    that is air, or at the foot of that mode if the air has no noise.

    Args:
        small: shape (rows, columns), without uniform margins.
    """
    seen = small[::2, ::2]
    low, high = quantiles(seen, 0.5, 99.5)
    high = min(high, _brightest(seen, low, high))
    found = _best(spread(small, low, high))
    if found is not None:
        top = quantiles(small[found.mask], 99.5)[0]
        if top - low < DIM * (high - low):  # a bright label takes most levels
            found = _best(spread(small, low, top)) or found
    if found is None:
        nothing = np.zeros(small.shape, np.bool_)
        return Breast(nothing, nothing)
    return Breast(found.mask, found.tissue, found.free, found.second)


def _brightest(seen: Small, low: float, high: float) -> float:
    """Find a top of the range that leaves a dim breast levels of its own beside clean air."""
    over = seen[seen >= low + (high - low) / 510]  # half of a level of 255
    if not 0 < over.size <= (1 - CLEAN) * seen.size:
        return high
    return low + (quantiles(over, TYPICAL)[0] - low) / TYPICAL_SHARE


def _best(levels: Levels) -> _Found | None:
    """Find the shape of a breast above the lowest level; else the shape with the freest side."""
    smooth = np.asarray(cv2.medianBlur(levels, GRAIN), np.uint8)
    best: _Found | None = None
    for cut in cuts_of(levels, smooth):
        found = _above(smooth, cut)
        if found is None:
            continue
        if found.free:
            return found
        if best is None or found.reach < best.reach:
            best = found
    return best


def _above(smooth: Levels, cut: Cut) -> _Found | None:
    """The breast, if what lies above this level is it."""
    bright = (smooth > cut.level).astype(np.uint8)
    inner = without_edges(smooth, bright)
    tissue = np.ascontiguousarray(bright[inner])
    whole = _with_dark_fat(tissue) if cut.flat else tissue
    weights = np.maximum(smooth[inner].astype(np.float32) - cut.air, 0)
    breast, second = _tidy(whole, whole | (smooth[inner] > cut.skin), weights)
    if breast is None:
        return None
    mask = np.zeros(smooth.shape, np.bool_)
    mask[inner] = breast > 0
    reach = min(float(side.mean()) for side in _sides(breast))
    free = reach < FREE and EMPTY < breast.mean() < FULL
    return _Found(mask, mask & (smooth > cut.skin), second, free, reach)


def _with_dark_fat(tissue: Bits) -> Bits:
    """Add gaps in tissue, and fat as dark as air between it and the chest wall."""
    gap = GAP * max(tissue.shape)
    whole = closed(tissue, gap)
    return whole | opened(_to_the_chest_wall(whole) & (1 - whole), gap)


def _tidy(bright: Bits, skin: Bits, weights: NDArray[np.float32]) -> tuple[Bits | None, float]:
    """Cut labels off the brightest thing, and put back its details and holes; size up the next."""
    outlines = outlines_of(bright)
    if not outlines:
        return None, 0.0
    radius = max(1.5, OPENING * sqrt(max(map(cv2.contourArea, outlines))))
    core, second = _largest(opened(drawn(outlines, bright.shape), radius), weights)
    if core is None:
        return None, 0.0
    detailed = core | (widened(core, DETAIL * radius) & skin)
    breast, _ = _largest(opened(detailed, max(1.0, radius / 4)), weights)
    return (None if breast is None else _to_the_chest_wall(breast)), second


def _largest(things: Bits, weights: NDArray[np.float32]) -> tuple[Bits | None, float]:
    """Find the connected thing with most light in it, and the share of its area the next has."""
    outlines = outlines_of(things)
    if not outlines:
        return None, 0.0
    areas = np.array([cv2.contourArea(outline) for outline in outlines])
    large = np.flatnonzero(areas >= CONTENDER * areas.max())
    masks = [drawn([outlines[int(number)]], things.shape) for number in large]
    light = [float(weights[mask > 0].sum()) for mask in masks] if len(masks) > 1 else [1.0]
    first = int(np.argmax(light))
    own, areas[large[first]] = max(1.0, areas[large[first]]), 0
    return masks[first], float(areas.max() / own)


def _to_the_chest_wall(breast: Bits) -> Bits:
    """Fill the holes, and the gaps between the breast and the side where the chest wall is."""
    whole = filled(breast)
    depth = max(3, round(WALL * breast.shape[1]))
    left, right = (np.count_nonzero(at.any(axis=1)) for at in (whole[:, :depth], whole[:, -depth:]))
    way = slice(None, None, -1 if right > left else 1)
    closing = np.pad(whole, 1)[:, way]
    near = closing[1:-1, 1 : 1 + depth]
    rows = np.flatnonzero(near.any(axis=1))
    if len(rows):
        near[:] = np.maximum.accumulate(near[:, ::-1], axis=1)[:, ::-1]
        closing[rows[0] + 1 : rows[-1] + 2, 0] = 1
    return filled(np.ascontiguousarray(closing[:, way]))[1:-1, 1:-1]


def _sides(breast: Bits) -> tuple[Mask, Mask]:
    """In which of the breast's rows it reaches the left and the right side."""
    rows = np.flatnonzero(breast.any(axis=1))
    seen = breast[rows[0] : rows[-1] + 1]
    return np.asarray(seen[:, :3].any(axis=1)), np.asarray(seen[:, -3:].any(axis=1))
