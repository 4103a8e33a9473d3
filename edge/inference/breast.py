"""
Find the breast on a small copy with dark air: the largest thing that is brighter than air.

Air is the darkest level that much of the picture has.
A level above it parts breast from air. Several are tried, from the lowest on, until what
lies above one of them has the shape of a breast: it leaves the side opposite to the chest wall
mostly free.
The breast is then opened by a disc of its own size, so that labels fall off, its details next to
the skin are put back, and its holes are filled, for dark fat and marks on a breast are breast.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.levels import Levels, quantiles, shares, spread
from edge.inference.morphology import closed, drawn, filled, opened, outlines_of, widened
from edge.inference.small_copy import Small

Mask: TypeAlias = NDArray[np.bool_]
Bits: TypeAlias = NDArray[np.uint8]
"""A mask as OpenCV takes it: 0 or 1."""

GRAIN: Final = 5
"""Side of the median filter, in pixels: grain goes, and edges stay where they are."""
BLUR: Final = 0.005
"""Standard deviation of the blur before levels are counted, as a share of the longest side."""
BORDER: Final = 0.02
"""Share of each side on which levels are not counted: film edges and scanner frames."""
COMMON: Final = 0.012
"""A level that is a mode of the picture has at least this share of it, with its neighbours."""
NEAR: Final = 6
"""Neighbours of a mode on either side, in levels of 256."""
FOOT: Final = 0.15
"""A mode ends where a level has less than this share of its height."""
FLAT: Final = 0.75
"""Air without noise: so much of the mode lies within one level."""
FLAT_SHARE: Final = 0.05
"""Air covers at least this share of a digital mammogram; tape on a film less."""
ABOVE_AIR: Final = 8
"""Levels of 256 above the air's own that still are air: a film glows at its edges."""
ABOVE_FLAT: Final = 4
"""Levels of 256 above the air's own that still are air at the skin line, if air has no noise."""
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
EDGE: Final = 0.05
"""Share of a side within which a film's bright edge may lie."""
EDGE_STEP: Final = 38
"""Levels of 256 by which a film's bright edge is brighter than the air beside it."""
EDGE_SHARE: Final = 0.3
"""The share of its length over which a film's edge is brighter than the air beside it."""
SEEN: Final = 0.15
"""Share of a side along which air must be seen to find the film's edge there."""
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


class _Cut(NamedTuple):
    """A level that may part breast from air."""

    air: int
    level: int
    skin: int
    """The same at the skin line."""
    flat: bool


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
    low, high = quantiles(small[::2, ::2], 0.5, 99.5)
    found = _best(spread(small, low, high))
    if found is not None:
        top = quantiles(small[found.mask], 99.5)[0]
        if top - low < DIM * (high - low):  # a bright label takes most levels
            found = _best(spread(small, low, top)) or found
    if found is None:
        nothing = np.zeros(small.shape, np.bool_)
        return Breast(nothing, nothing)
    return Breast(found.mask, found.tissue, found.free, found.second)


def _best(levels: Levels) -> _Found | None:
    """Find the shape of a breast above the lowest level; else the shape with the freest side."""
    smooth = np.asarray(cv2.medianBlur(levels, GRAIN), np.uint8)
    best: _Found | None = None
    for cut in _cuts(levels, smooth):
        found = _above(smooth, cut)
        if found is None:
            continue
        if found.free:
            return found
        if best is None or found.reach < best.reach:
            best = found
    return best


def _cuts(levels: Levels, smooth: Levels) -> Iterator[_Cut]:
    """Levels that may part breast from air, the likeliest first."""
    rows, columns = levels.shape
    top, left = round(rows * BORDER), round(columns * BORDER)
    blurred = cv2.GaussianBlur(levels, (0, 0), BLUR * max(rows, columns))
    inner = np.ascontiguousarray(blurred[top : rows - top, left : columns - left], np.uint8)
    otsu, _ = cv2.threshold(inner, 0, 255, cv2.THRESH_OTSU)
    sharp, counts = shares(smooth), shares(inner)
    for air, foot in _modes(sharp, round(otsu))[:1]:
        near = sharp[max(0, air - 1) : air + 2].sum()
        if near >= max(FLAT_SHARE, FLAT * sharp[max(0, air - NEAR) : air + NEAR + 1].sum()):
            yield _Cut(air, max(foot, air + ABOVE_AIR), max(foot, air + ABOVE_FLAT), flat=True)
    modes = _modes(counts, round(otsu))
    levels_of = [(air, _knee(counts, air)) for air, _ in modes] + modes
    first = modes[0][0] if modes else 0
    levels_of += [(first, (first + round(otsu)) // 2), (first, round(otsu))]
    for air, level in levels_of:
        yield _Cut(air, max(level, air + ABOVE_AIR), max(level, air + ABOVE_AIR), flat=False)


def _modes(counts: NDArray[np.float64], top: int) -> list[tuple[int, int]]:
    """List the levels up to `top` that more pixels have than those about them, and their feet."""
    around = np.convolve(np.pad(counts, NEAR // 2, mode="edge"), np.ones(NEAR + 1), "valid")
    near = np.convolve(around, np.ones(2 * NEAR + 1), "same")
    highest = cv2.dilate(around[np.newaxis], np.ones((1, 2 * NEAR + 1), np.uint8))[0]
    least, level = 1.5 * float(np.median(counts[counts > 0])), 0
    modes = []
    for peak in np.flatnonzero((around >= highest) & (near >= COMMON * (NEAR + 1))):
        if not level <= peak <= top:
            continue
        first = max(0, int(peak) - NEAR // 2)
        mode = first + int(counts[first : peak + NEAR // 2 + 1].argmax())
        ends = np.flatnonzero(counts[mode + 1 :] <= max(FOOT * counts[mode], least))
        foot = mode + 1 + int(ends[0]) if len(ends) else 255
        modes.append((mode, foot))
        level = max(foot, int(peak) + 1)
    return modes


def _knee(counts: NDArray[np.float64], mode: int) -> int:
    """The level that lies farthest below the line from a mode to the brightest level."""
    last = int(np.flatnonzero(counts)[-1])
    line = np.linspace(counts[mode], counts[last], last - mode + 1)
    return mode + int((line - counts[mode : last + 1]).argmax())


def _above(smooth: Levels, cut: _Cut) -> _Found | None:
    """The breast, if what lies above this level is it."""
    bright = (smooth > cut.level).astype(np.uint8)
    inner = _without_edges(smooth, bright)
    tissue = np.ascontiguousarray(bright[inner])
    whole = closed(tissue, GAP * max(tissue.shape)) if cut.flat else tissue
    weights = np.maximum(smooth[inner].astype(np.float32) - cut.air, 0)
    breast, second = _tidy(whole, whole | (smooth[inner] > cut.skin), weights)
    if breast is None:
        return None
    mask = np.zeros(smooth.shape, np.bool_)
    mask[inner] = breast > 0
    reach = min(float(side.mean()) for side in _sides(breast))
    free = reach < FREE and EMPTY < breast.mean() < FULL
    return _Found(mask, mask & (smooth > cut.skin), second, free, reach)


def _without_edges(levels: Levels, bright: Bits) -> tuple[slice, slice]:
    """All but the bright edges of a film, which lie between the picture's side and air."""
    rows, columns = levels.shape
    top, bottom = _edge(levels, bright), _edge(levels[::-1], bright[::-1])
    left, right = _edge(levels.T, bright.T), _edge(levels.T[::-1], bright.T[::-1])
    return slice(top, rows - bottom), slice(left, columns - right)


def _edge(levels: Levels, bright: Bits) -> int:
    """Rows of the first that are a film's edge: brighter than the air a little further inside."""
    depth = max(1, round(EDGE * len(levels)))
    if depth >= len(levels):
        return 0
    air = bright[depth] == 0
    if air.mean() < SEEN:
        return 0
    steps = levels[:depth, air].astype(np.int16) - levels[depth, air]
    edges = np.flatnonzero((steps > EDGE_STEP).mean(axis=1) >= EDGE_SHARE)
    return int(edges[-1]) + 1 if len(edges) else 0


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
