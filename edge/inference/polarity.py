"""
Know a picture that came inverted, with no tag that says so, by what it shows.

The breast is looked for twice, in the picture and in its negative.
In the right one tissue gets darker towards the skin line until it is air, and the air beside it is
flatter than the tissue; in the wrong one the step at the edge is high.
Air also takes most of the picture's border and is one of its two ends.
Glaring flat areas (frames, mattes, strips) and marks in even air say nothing and are left out; a
header that names the polarity counts as well.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.breast import find_breast
from edge.inference.levels import quantiles
from edge.inference.margins import Flat
from edge.inference.small_copy import Small, smaller

Mask: TypeAlias = NDArray[np.bool_]

SIDE: Final = 144
"""Longest side on which polarity is decided, in pixels."""
EDGE: Final = 0.02
"""Share of each side that is no part of the border: film edges and scanner frames."""
BAND: Final = 0.1
"""Width of the band along the four sides in which most is air, as a share of each side."""
AIR_WIDTH: Final = 4
"""Grey levels of 256 to either side of the air's own that still are air."""
WEIGHTS: Final = (2.4, 9.8, 2.9, 6.6, 4.5)
"""
Of `Evidence`, by logistic regression on films and digital mammograms: plain, overexposed, matted.
"""
PLAIN: Final = 3.0
"""If the border alone weighs as much, breasts need not be looked for: no negative comes near it."""
DOUBT: Final = 0.7
"""The least weight of evidence for a negative on which a picture is turned."""
PRIOR: Final = 1.5
"""The weight that must be added to `DOUBT` if a header names the polarity."""
HIDDEN: Final = 1.8
"""The weight that must be added to `DOUBT` if glaring areas may hide the air."""
HALF: Final = 0.5
"""A pixel of a smaller copy is known if more than this share of it is."""
DEEP: Final = 0.2
"""Tissue farther from the skin line than this share of the breast's size is deep."""
RIM: Final = 0.05
"""Tissue nearer to the skin line than this share of the breast's size is its rim."""
AROUND: Final = np.ones((3, 3), np.uint8)


class Evidence(NamedTuple):
    """Evidence for a picture as it is (positive) or for its negative, each from -1 to 1."""

    flatness: float
    """Of the air, against the tissue."""
    fading: float
    """Of tissue into air at the skin line."""
    depth: float
    """Of tissue, which gets brighter away from the skin line."""
    border: float
    """That is dark."""
    end: float
    """That the air is of all levels: the dark one."""

    @property
    def weight(self) -> float:
        """All of it together."""
        return float(np.dot(self, WEIGHTS))


def is_inverted(
    small: Small, flats: Sequence[Flat], marks: Sequence[Flat] = (), *, stated: bool
) -> bool:
    """
    Tell if a picture is a negative; in doubt it is not.

    Args:
        small: a small copy, shape (rows, columns), without uniform margins.
        flats: glaring flat areas of it.
        marks: flat areas in even air, which hide little of it.
        stated: a header names the polarity, and the picture is as it says.
    """
    known = _known(small, flats, marks)
    if known is None or np.dot(_border(*known), WEIGHTS[3:]) >= PLAIN:
        return False
    doubt = DOUBT + (PRIOR if stated else 0.0) + (HIDDEN if flats else 0.0)
    return _weighed(*known).weight < -doubt


def evidence(small: Small, flats: Sequence[Flat]) -> Evidence | None:
    """Weigh a picture against its negative; None if there is nothing to see."""
    known = _known(small, flats)
    return None if known is None else _weighed(*known)


def _known(
    small: Small, flats: Sequence[Flat], marks: Sequence[Flat] = ()
) -> tuple[Small, Mask] | None:
    """Spread the levels over 0 to 255, and tell the pixels that lie in none of the flat areas."""
    known = np.ones(small.shape, np.bool_)
    for flat in flats:  # and its level elsewhere: a matte also shows in small gaps
        known &= ~flat.mask & (np.abs(small - np.float32(flat.level)) > flat.tolerance)
    for mark in marks:
        known &= cv2.dilate(mark.mask.astype(np.uint8), AROUND) == 0  # its edge is a mixture
    if not known.any():
        return None
    low, high = quantiles(small[known] if flats or marks else small, 0.5, 99.5)
    if low == high:
        return None
    return np.clip((small - np.float32(low)) * np.float32(255 / (high - low)), 0, 255), known


def _weighed(levels: Small, known: Mask) -> Evidence:
    as_it_is, negative = (_view(each, known) for each in (levels, 255 - levels))
    return Evidence(
        as_it_is.contrast - negative.contrast,
        negative.step - as_it_is.step,
        as_it_is.rise - negative.rise,
        *_border(levels, known),
    )


class _View(NamedTuple):
    """Measures of a picture, if it is no negative."""

    contrast: float
    step: float
    rise: float


def _view(levels: Small, known: Mask) -> _View:
    small = smaller(np.where(known, levels, np.float32(0)), SIDE)
    breast = find_breast(small)
    mask = breast.mask
    if mask.all() or not mask.any():
        return _View(-0.5, 1.0, 0.0)
    bits = mask.astype(np.uint8)
    away = cv2.distanceTransform(np.pad(bits, 1, mode="edge"), cv2.DIST_L2, cv2.DIST_MASK_5)[
        1:-1, 1:-1
    ]
    size = float(np.sqrt(mask.sum()))
    outside = ~mask & (cv2.dilate(bits, AROUND) > 0)
    step = _median(small, mask & (away <= 1)) - _median(small, outside)
    rise = _median(small, away > DEEP * size) - _median(
        small, mask & (away <= max(2.0, RIM * size))
    )
    return _View(_range(small[mask]) - _range(small[~mask]), step, rise)


def _median(small: Small, mask: Mask) -> float:
    """Of the masked pixels, as a share of all levels."""
    return quantiles(small[mask], 50)[0] / 255 if mask.any() else 0.0


def _range(values: Small) -> float:
    """Between the 20th and the 80th percentile, as a share of all levels."""
    low, high = quantiles(values, 20, 80)
    return (high - low) / 255


def _border(levels: Small, known: Mask) -> tuple[float, float]:
    """
    Measure how dark the border is, and how much of the picture is brighter than the air.

    Both are differences, of dark and bright and of brighter and darker, from -1 to 1.
    What is bright is cut by Otsu's threshold (Otsu, 1979); the air is what the border has most of.
    """
    small = smaller(levels, SIDE)
    known = np.ones(small.shape, np.bool_) if known.all() else smaller(known, SIDE) > HALF
    top, left = (round(side * EDGE) for side in small.shape)
    inner = slice(top, small.shape[0] - top), slice(left, small.shape[1] - left)
    rounded, known = np.rint(small[inner]).astype(np.uint8), known[inner]
    if not known.any():
        return 0.0, 0.0
    threshold, _ = cv2.threshold(np.ascontiguousarray(rounded[known]), 0, 255, cv2.THRESH_OTSU)
    rows, columns = (max(1, round(side * BAND)) for side in rounded.shape)
    at_border = np.ones(known.shape, np.bool_)
    at_border[rows:-rows, columns:-columns] = False
    told = float(known[at_border].mean())  # flat areas say nothing
    band = rounded[at_border & known]
    if not len(band):
        return 0.0, 0.0
    counts = np.bincount(band, minlength=256)
    air = int(np.convolve(counts, np.ones(2 * AIR_WIDTH + 1), "same").argmax())
    brighter, darker = (
        np.mean(rounded[known] > air + AIR_WIDTH),
        np.mean(rounded[known] < air - AIR_WIDTH),
    )
    dark = 1 - 2 * float(np.mean(band > threshold))
    return told * dark, told * float(brighter - darker)
