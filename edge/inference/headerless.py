"""
Know what is no whole mammogram in a picture that no header calls one.

A breast takes much of the height of its picture; on a page with a small picture it does not.
Air has no structure: what lies beside the "breast" in a piece cut out of one is fat, which has.
A breast gets narrower towards both ends; half of a film, cut across, is widest at a border.
Tissue is smooth beside print, whose lines change from dark to bright and back in a few pixels.
"""

from typing import Final, NamedTuple

import cv2
import numpy as np

from edge.inference.air import FEW, Mask, air_of
from edge.inference.levels import quantiles
from edge.inference.small_copy import Small

LEAST_HEIGHT: Final = 0.3
"""A breast takes at least this share of the picture's height; 37 % is the least of 3,410."""
GRAIN: Final = 3.0
"""Standard deviation of the blur that takes away the grain of films, in pixels."""
ROUGH: Final = 0.16
"""Levels of tissue differ from what is blurred so by at most this share of its range on average."""
STEP: Final = 2
"""Air and tissue are sampled at every second pixel of every second row."""
MOST_STRUCTURE: Final = 0.0035
"""The flattest quarter of air changes by at most this share of the tissue's range a pixel."""
QUARTER: Final = 25
"""The percentile of slopes that is the flattest quarter's: films have clouds in the rest."""
EDGE: Final = 0.01
"""Share of the rows that count as a border of the picture."""
UPPER: Final = (0.9, 1.1)
"""Of a width at the upper border of so much of the greatest, a breast is so many times as high."""
LOWER: Final = (0.75, 1.3)
"""The same at the lower border, where whole breasts are narrow; at the upper one is the armpit."""
UPRIGHT: Final = 1.15
"""Detectors are so many times as high as wide, or more."""
OUTLINE: Final = 0.83
"""A mask that fills more of a picture is no outline: glowing air was taken for tissue."""


class _Ends(NamedTuple):
    """The upper and the lower end of a breast, as shares of its width; 0 if it ends inside."""

    upper: float
    lower: float
    height: float
    """Of the breast, as a share of its width."""


class _Sample(NamedTuple):
    """Every second pixel of every second row."""

    small: Small
    smooth: Small
    """The same, blurred before the sample was taken."""
    mask: Mask
    brightest: float
    """The highest level of the tissue, a hundredth of it aside."""
    span: float
    """The range of the tissue's levels."""


def doubt_of(small: Small, mask: Mask, shown: float) -> str | None:
    """
    Say why a picture without a header is no mammogram; None if it may be one.

    Args:
        small: shape (rows, columns), artefacts made dark.
        mask: of the breast, shape of the small copy; not empty.
        shown: height of the content as a share of the picture's height.
    """
    height = shown * float(np.mean(mask.any(axis=1)))
    if height < LEAST_HEIGHT:
        return (
            f"the breast takes {height:.0%} of the picture's height, expected {LEAST_HEIGHT:.0%} "
            "or more; is this a small picture on a page?"
        )
    cut = _cut_across(mask)
    if cut is not None:
        return cut
    every = slice(None, None, STEP), slice(None, None, STEP)
    if not mask[every].any():
        return None
    smooth = np.asarray(cv2.GaussianBlur(small, (0, 0), GRAIN), np.float32)
    low, high = quantiles(small[every][mask[every]], 1, 99)
    sample = _Sample(small[every], smooth[every], mask[every], high, max(high - low, 1e-6))
    rough = _roughness(sample)
    if rough > ROUGH:
        return (
            f"its levels differ by {rough:.0%} of their range from those around them, expected "
            f"{ROUGH:.0%} or less; is this print or a drawing?"
        )
    structure = _structure(sample)
    if structure > MOST_STRUCTURE:
        return (
            f"no air beside it: in the flattest quarter of what is there levels change by "
            f"{structure:.2%} of the tissue's range a pixel, expected {MOST_STRUCTURE:.2%} or "
            "less; is this a part of a breast?"
        )
    return None


def _roughness(sample: _Sample) -> float:
    """Measure the mean difference of tissue from its blurred copy, as a share of its range."""
    rough = np.abs(sample.small[sample.mask] - sample.smooth[sample.mask])
    return float(rough.mean()) / sample.span


def _structure(sample: _Sample) -> float:
    """Measure the slope of levels in the flattest quarter of air, in the tissue's range a pixel."""
    air = air_of(sample.small, sample.mask, sample.brightest)[1:-1, 1:-1]
    if air.sum() <= FEW:
        return 0.0
    smooth = sample.smooth
    down = smooth[2:, 1:-1] - smooth[:-2, 1:-1]
    right = smooth[1:-1, 2:] - smooth[1:-1, :-2]
    slopes = np.hypot(down[air], right[air])
    return quantiles(slopes, QUARTER)[0] / (2 * STEP) / sample.span


def _cut_across(mask: Mask) -> str | None:
    if mask.mean() > OUTLINE:
        return None
    ends = _ends(mask)
    rows, columns = mask.shape
    narrow, high = LOWER
    if rows > UPRIGHT * columns:
        high = min(high, rows / columns)  # a breast that fills it is no higher
    borders = (("upper", ends.upper, *UPPER), ("lower", ends.lower, narrow, high))
    for name, width, most, least in borders:
        if width >= most and ends.height < least:
            return (
                f"at the {name} border of the picture the breast has {width:.0%} of its greatest "
                f"width, and it is {ends.height:.2f} times as high as wide; expected less than "
                f"{most:.0%}, or {least:.2f} times or more; is this a part of a breast, or turned?"
            )
    return None


def _ends(mask: Mask) -> _Ends:
    """Measure how wide a breast is at the borders of the picture; the mask is not empty."""
    widths = mask.sum(axis=1)
    (most,) = quantiles(widths[widths > 0], 98)
    near = max(2, round(EDGE * len(mask)))
    height = np.count_nonzero(widths) / np.count_nonzero(mask.any(axis=0))
    return _Ends(float(widths[:near].max() / most), float(widths[-near:].max() / most), height)
