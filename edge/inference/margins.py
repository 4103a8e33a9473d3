"""
Tell a picture from the uniform margins about it and the flat bright areas in it.

A frame, a strip, a shutter, a matte or padding has one level all over; tissue and the air of a film
have not.
Margins are cut off to the pixel.
A flat area inside is an artefact only if its level ends abruptly: saturated tissue fades.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.image.mammogram import Mammogram
from edge.inference.levels import quantiles
from edge.inference.small_copy import Small

Mask: TypeAlias = NDArray[np.bool_]

SAMPLE: Final = 16
"""Every 16th pixel of every 16th row tells the range of levels."""
UNIFORM: Final = 0.012
"""A line is uniform if nearly all of it differs by less than this share of the range."""
NEARLY: Final = (0.3, 99.7)
"""Percentiles between which nearly all of a line lies."""
LID: Final = 0.1
"""The range of a bright margin's noise, as a share of the image's range: at most this."""
NOISE: Final = 0.25
"""The range of noise in a margin that ends abruptly is at most this share of the image's range."""
NOISIER: Final = 2.0
"""The range of a line's noise in such a margin is at most this times that of the outermost line."""
EVEN: Final = 0.04
"""The means of a margin line's parts differ by at most this share of the image's range."""
PARTS: Final = 12
"""The number of parts of a line whose means are compared."""
RIM: Final = 0.04
"""The width of dark margin that is kept as air, as a share of what lies between the margins."""
WIDTH: Final = 512
"""The number of pixels of a line that are looked at, about."""
BLOCK: Final = 1024
"""The greatest number of lines that are looked at together."""
BLENDED: Final = 0.1
"""Half of a mixture of margin and picture differs from the next line by more than this share."""
MOST_BLENDED: Final = 2
"""The greatest number of lines between margin and picture that may be a mixture of both."""
FLAT: Final = 0.006
"""A flat area's levels differ by less than this share of the range between neighbours."""
AREA: Final = 0.008
"""A flat area covers at least this share of the picture."""
ABRUPT: Final = 0.15
"""An artefact's level differs from what surrounds it by more than this share of the range."""
GLARING: Final = 0.5
"""A bright area that is no air is brighter than what surrounds it by more than this share."""
DARK: Final = 0.3
"""Surroundings are dark, and no tissue, up to this share of the range."""
ABRUPTLY: Final = 0.2
"""A margin with noise ends abruptly if this share of the next line differs as much."""
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
    looked = _kept(pixels[::SAMPLE, ::SAMPLE].ravel(), image.background)
    low, high = quantiles(looked, 5, 95) if len(looked) else (0.0, 0.0)
    scale = _Scale((low + high) / 2, high - low, image.background)
    top, bottom, left, right = 0, pixels.shape[0], 0, pixels.shape[1]
    before: tuple[int, ...] = ()
    while before != (top, bottom, left, right):
        before = (top, bottom, left, right)
        top, bottom = _trimmed(pixels[:, left:right], top, bottom, scale)
        if top < bottom:
            left, right = _trimmed(pixels[top:bottom].T, left, right, scale)
        if top >= bottom or left >= right:
            return Content(0, pixels.shape[0], 0, pixels.shape[1])
    return Content(top, bottom, left, right)


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


def glaring(small: Small, flats: Sequence[Flat]) -> list[Flat]:
    """
    Keep the flat areas that are bright and end abruptly, so that they cannot be air.

    Dark flat areas are kept out: the air of a digital mammogram is one of them.
    """
    if not flats:
        return []
    low, high = quantiles(small[::2, ::2], 1, 99)
    return [
        flat
        for flat in flats
        if flat.level - _surroundings(small, flat.mask) > GLARING * (high - low)
    ]


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


def _surroundings(small: Small, mask: Mask) -> float:
    """The median level just outside, one pixel away: that one may be a mixture."""
    near = cv2.dilate(mask.astype(np.uint8), AROUND)
    ring = (cv2.dilate(near, AROUND) > 0) & (near == 0)
    return quantiles(small[ring], 50)[0] if ring.any() else float("inf")


def _trimmed(pixels: NDArray[Any], first: int, last: int, scale: "_Scale") -> tuple[int, int]:
    """The rows first .. last without uniform ones at their beginning and end."""
    lines = pixels[first:last, :: max(1, pixels.shape[1] // WIDTH)]
    before = _margin(lines, scale)
    after = _margin(lines[before:][::-1], scale)
    rim = ceil(RIM * max(0, len(lines) - before - after))
    if _fades(lines, before, scale):
        before = max(0, before - rim)
    if _fades(lines[::-1], after, scale):
        after = max(0, after - rim)
    return first + before, last - after


def _margin(lines: NDArray[Any], scale: "_Scale") -> int:
    """
    Count the uniform lines from the first on.

    A margin with noise, as a scanner's lid has it, is bright or ends abruptly: noisy air does not.
    """
    plain = _uniform(lines, scale, UNIFORM * scale.span)
    if plain or not len(lines):
        return plain + _mixtures(lines, plain, scale.span) if 0 < plain < len(lines) else plain
    low, high, level = scale.levels_of_first(lines)
    if high - low > NOISE * scale.span:
        return 0
    found = _uniform(lines, scale, NOISIER * (high - low), EVEN * scale.span)
    if found == len(lines):
        return 0
    found += _mixtures(lines, found, scale.span)
    lid = level > scale.middle and high - low <= LID * scale.span
    return found if lid or _is_abrupt(lines, found, scale) else 0


def _fades(lines: NDArray[Any], found: int, scale: "_Scale") -> bool:
    """If so many lines may be air: they are dark, and what follows is mostly as dark."""
    if not 0 < found < len(lines):
        return False
    level = scale.levels_of_first(lines)[2]
    dark = level <= scale.middle - (0.5 - UNIFORM) * scale.span
    return dark and not _is_abrupt(lines, found, scale)


def _is_abrupt(lines: NDArray[Any], found: int, scale: "_Scale") -> bool:
    """If much of the line after a margin differs from the margin."""
    level = np.float32(scale.levels_of_first(lines)[2])
    differs = np.abs(lines[found].astype(np.float32) - level) > ABRUPT * scale.span
    return bool(np.mean(differs) > ABRUPTLY)


def _uniform(
    lines: NDArray[Any], scale: "_Scale", tolerance: float, even: float | None = None
) -> int:
    """Count the lines from the first on with nearly one level each and one mean in all parts."""
    found, size = 0, 1
    while found < len(lines):
        block = lines[found : found + size]
        low, high, _ = scale.levels(block)
        varied = high - low > tolerance
        if even is not None:
            varied |= _unevenness(block) > even
        if varied.any():
            return found + int(varied.argmax())
        found, size = found + len(block), min(4 * size, BLOCK)
    return found


def _unevenness(lines: NDArray[Any]) -> NDArray[np.float64]:
    """The range of the means of a line's parts: noise has the same mean everywhere."""
    columns = lines.shape[1]
    parts = min(PARTS, columns)
    starts = np.minimum(np.arange(parts), columns % parts) + columns // parts * np.arange(parts)
    sums = np.add.reduceat(lines, starts, axis=1, dtype=np.float64)
    return np.asarray(np.ptp(sums / np.diff(starts, append=columns), axis=1), np.float64)


@dataclass(frozen=True, slots=True)
class _Scale:
    """The levels of an image."""

    middle: float
    span: float
    background: int | None

    def levels(self, lines: NDArray[Any]) -> NDArray[np.float64]:
        """Between which levels nearly all of each line lies, and its median; padding aside."""
        if self.background is None:
            at = [round((lines.shape[1] - 1) * each / 100) for each in (*NEARLY, 50)]
            return np.sort(lines, axis=1)[:, at].T.astype(np.float64)
        padding = lines == self.background
        kept = np.count_nonzero(~padding, axis=1)
        ordered = np.sort(np.where(padding, np.iinfo(lines.dtype).max, lines), axis=1)
        places = np.outer((*NEARLY, 50), np.maximum(kept - 1, 0)) / 100
        found = ordered[np.arange(len(lines)), np.rint(places).astype(np.intp)]
        return np.where(kept > 0, found, 0).astype(np.float64)

    def levels_of_first(self, lines: NDArray[Any]) -> tuple[float, ...]:
        """Find the levels of the first line alone, as `levels` does."""
        return tuple(float(level[0]) for level in self.levels(lines[:1]))


def _mixtures(lines: NDArray[Any], found: int, span: float) -> int:
    """Count the lines after a margin that are a mixture of it and the picture."""
    most = min(MOST_BLENDED, len(lines) - found - 1)
    for extra in range(most):
        line, following = lines[found + extra : found + extra + 2].astype(np.float32)
        if np.mean(np.abs(line - following) > BLENDED * span) < 0.5:  # noqa: PLR2004 - half
            return extra
    return most


def _kept(values: NDArray[Any], background: int | None) -> NDArray[Any]:
    """The values without padding."""
    return values if background is None else values[values != background]
