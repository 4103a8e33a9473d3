"""
Tell a picture from the uniform margins about it and the flat bright areas in it.

A frame, a strip, a shutter, a matte or padding has one level all over; tissue and the air of a film
have not.
Margins are cut off to the pixel.
A flat area inside is an artefact only if its level ends abruptly: saturated tissue fades.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.image.mammogram import Mammogram
from edge.inference.levels import quantiles
from edge.inference.margin_lines import ABRUPT, Scale, trimmed
from edge.inference.small_copy import Small
from edge.inference.uneven_frame import Widths, uneven_frame

Mask: TypeAlias = NDArray[np.bool_]

SAMPLE: Final = 16
"""Every 16th pixel of every 16th row tells the range of levels."""
FLAT: Final = 0.006
"""A flat area's levels differ by less than this share of the range between neighbours."""
AREA: Final = 0.008
"""A flat area covers at least this share of the picture."""
GLARING: Final = 0.5
"""A bright area that is no air is brighter than what surrounds it by more than this share."""
DARK: Final = 0.3
"""Surroundings are dark, and no tissue, up to this share of the range."""
SAME: Final = 0.02
"""Pixels of a flat area differ from its level by less than this share of the range."""
AROUND: Final = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Content:
    """The part of an image without uniform margins, in pixels."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """A view of that part."""
        return pixels[self.top : self.bottom, self.left : self.right]

    def within(self, frame: Widths) -> "Content":
        """The part of it inside a frame."""
        top, bottom = self.top + frame.top, self.bottom - frame.bottom
        return Content(top, bottom, self.left + frame.left, self.right - frame.right)


@dataclass(frozen=True, slots=True)
class Flat:
    """A flat area of a small copy."""

    mask: Mask
    """Shape of the small copy."""
    level: float
    tolerance: float
    """The greatest distance of a pixel's value from the level."""


def content_of(image: Mammogram) -> Content:
    """Find the image without uniform margins; the whole image if it is uniform all over."""
    pixels = image.pixels
    scale = _scale_of(image)
    whole = Content(0, pixels.shape[0], 0, pixels.shape[1])
    before: Content | None = None
    found = whole
    while found != before:
        before = found
        widths = uneven_frame(found.of(pixels), scale)
        if widths is not None:
            found = found.within(widths)
            continue
        columns = pixels[:, found.left : found.right]
        top, bottom = trimmed(columns, found.top, found.bottom, scale)
        if top >= bottom:
            return whole
        left, right = trimmed(pixels[top:bottom].T, found.left, found.right, scale)
        if left >= right:
            return whole
        found = Content(top, bottom, left, right)
    return found


def _scale_of(image: Mammogram) -> Scale:
    """The levels of an image without padding, by a sample."""
    sample = image.pixels[::SAMPLE, ::SAMPLE].ravel()
    looked = sample if image.background is None else sample[sample != image.background]
    low, high = quantiles(looked, 5, 95) if len(looked) else (0.0, 0.0)
    return Scale((low + high) / 2, high - low, image.background)


def flats_of(small: Small) -> list[Flat]:
    """
    Find the flat areas of a small copy.

    Args:
        small: shape (rows, columns).
    """
    low, high = quantiles(small[::2, ::2], 1, 99)
    span = max(high - low, 1e-6)
    differences = cv2.dilate(small, AROUND) - cv2.erode(small, AROUND)
    flat = (differences <= FLAT * span).astype(np.uint8)
    if np.count_nonzero(flat) < AREA * small.size:  # as on most films
        return []
    _, labels, stats, _ = cv2.connectedComponentsWithStats(flat)
    large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= AREA * small.size)
    found = []
    for number in large[large > 0]:  # wider one by one, so that touching areas stay apart
        one = cv2.dilate((labels == number).astype(np.uint8), AROUND)
        mask = np.asarray(one, np.bool_)
        darkest, level, brightest = quantiles(small[mask], 2, 50, 98)
        if brightest - darkest <= 2 * SAME * span:  # a ramp is no flat area
            found.append(Flat(mask, level, SAME * span))
    return found


def glaring(small: Small, flats: Sequence[Flat], on_air: Sequence[Flat]) -> list[Flat]:
    """
    Keep the flat areas that are bright and end abruptly, so that they cannot be air.

    Dark flat areas are kept out: the air of a digital mammogram is one of them.

    Args:
        small: shape (rows, columns).
        flats: areas of it.
        on_air: those of them that are `marks`.
    """
    if not flats:
        return []
    low, high = quantiles(small[::2, ::2], 1, 99)
    found = []
    for flat in flats:
        smaller = [mark.mask for mark in on_air if mark.mask.sum() < flat.mask.sum()]
        around = _surroundings(small, flat.mask, smaller)  # dark marks make no air glare
        if flat.level - around > GLARING * (high - low):
            found.append(flat)
    return found


def marks(small: Small, flats: Sequence[Flat]) -> list[Flat]:
    """
    Keep the flat areas in a larger one that may be air: labels and strips, dark or bright.

    Air is at one end of the levels; a grey strip that is larger than the air is not.
    """
    if not flats:
        return []
    ends = np.array(quantiles(small[::2, ::2], 1, 99))
    airs = [flat for flat in flats if np.abs(ends - flat.level).min() <= flat.tolerance]
    found = []
    for flat in flats:
        larger = [air for air in airs if air.mask.sum() > flat.mask.sum()]
        if larger:
            around = _surroundings(small, flat.mask)
            if any(abs(around - air.level) <= air.tolerance for air in larger):
                found.append(flat)
    return found


def artefacts(small: Small, flats: Sequence[Flat]) -> list[Flat]:
    """
    Keep the flat areas that end abruptly and lie in dark surroundings or at a side of the picture.

    Saturated tissue, an implant or a clip is as flat and as bright, but has tissue around it.
    """
    if not flats:
        return []
    low, high = quantiles(small[::2, ::2], 1, 99)
    found = []
    for flat in flats:
        around = _surroundings(small, flat.mask)
        apart = around <= low + DARK * (high - low) or _at_a_side(flat.mask)
        if apart and flat.level - around > ABRUPT * (high - low):
            found.append(flat)
    return found


def _at_a_side(mask: Mask) -> bool:
    """Tell if an area touches a side of the picture."""
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def _surroundings(small: Small, mask: Mask, without: Sequence[Mask] = ()) -> float:
    """The median level just outside, one pixel away: that one may be a mixture."""
    near = cv2.dilate(mask.astype(np.uint8), AROUND)
    ring = (cv2.dilate(near, AROUND) > 0) & (near == 0)
    for other in without:
        ring &= cv2.dilate(other.astype(np.uint8), AROUND) == 0
    return quantiles(small[ring], 50)[0] if ring.any() else float("inf")
