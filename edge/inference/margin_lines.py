"""
Tell the lines of a margin from those of a picture, from a side of the picture inwards.

A margin's line has one level all over, or noise of one mean, as a scanner's lid has it.
Noise alone makes no margin: it is bright and narrow, or ends abruptly. Noisy air does not.
"""

from dataclasses import dataclass
from math import ceil
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

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
ABRUPT: Final = 0.15
"""Levels differ abruptly from a margin by more than this share of the range."""
ABRUPTLY: Final = 0.2
"""A margin ends abruptly if more than this share of the next line differs as much."""
SOFTLY: Final = 0.02
"""Bright air ends softly: at most this share of the next line differs as much."""


@dataclass(frozen=True, slots=True)
class Scale:
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


def trimmed(pixels: NDArray[Any], first: int, last: int, scale: Scale) -> tuple[int, int]:
    """The rows first .. last without uniform ones at their beginning and end."""
    lines = sampled(pixels[first:last])
    before = _margin(lines, scale)
    after = _margin(lines[before:][::-1], scale)
    rim = ceil(RIM * max(0, len(lines) - before - after))
    before -= _air(lines, before, rim, scale)
    after -= _air(lines[::-1], after, rim, scale)
    return first + before, last - after


def sampled(lines: NDArray[Any]) -> NDArray[Any]:
    """About `WIDTH` pixels of each line."""
    return lines[:, :: max(1, lines.shape[1] // WIDTH)]


def means_of(lines: NDArray[Any]) -> NDArray[np.float64]:
    """The means of each line's parts, shape (lines, parts): noise has the same mean everywhere."""
    columns = lines.shape[1]
    parts = min(PARTS, columns)
    starts = np.minimum(np.arange(parts), columns % parts) + columns // parts * np.arange(parts)
    sums = np.add.reduceat(lines, starts, axis=1, dtype=np.float64)
    return np.asarray(sums / np.diff(starts, append=columns), np.float64)


def mixtures(lines: NDArray[Any], found: int, span: float) -> int:
    """Count the lines after a margin that are a mixture of it and the picture."""
    most = min(MOST_BLENDED, len(lines) - found - 1)
    for extra in range(most):
        line, following = lines[found + extra : found + extra + 2].astype(np.float32)
        if np.mean(np.abs(line - following) > BLENDED * span) < 0.5:  # noqa: PLR2004 - half
            return extra
    return most


def _margin(lines: NDArray[Any], scale: Scale) -> int:
    """Count the lines of a margin from the first on."""
    plain = _uniform(lines, scale, UNIFORM * scale.span)
    if plain or not len(lines):
        return plain + mixtures(lines, plain, scale.span) if 0 < plain < len(lines) else plain
    low, high, level = scale.levels_of_first(lines)
    if high - low > NOISE * scale.span:
        return 0
    found = _uniform(lines, scale, NOISIER * (high - low), EVEN * scale.span)
    if found == len(lines):
        return 0
    found += mixtures(lines, found, scale.span)
    lid = level > scale.middle and high - low <= LID * scale.span
    return found if lid or _difference(lines[found], level, scale) > ABRUPTLY else 0


def _air(lines: NDArray[Any], found: int, most: int, scale: Scale) -> int:
    """
    Count the last lines of a margin that may be air: they have one level, and the picture fades in.

    Air is the darkest of all levels; in a negative the brightest, but then wider than a film's
    bright edge, and the skin begins softly. Of frames in one another only the innermost can be air.
    """
    if not (0 < found < len(lines) and most):
        return 0
    last = scale.levels(lines[max(0, found - most) : found])[2]
    level = last[max(0, len(last) - 1 - MOST_BLENDED)]
    other = np.flatnonzero(np.abs(last[: len(last) - MOST_BLENDED] - level) > UNIFORM * scale.span)
    same = len(last) - (int(other[-1]) + 1 if len(other) else 0)
    differs = _difference(lines[found], level, scale)
    extreme = (0.5 - UNIFORM) * scale.span
    dark = level <= scale.middle - extreme and differs <= ABRUPTLY
    bright = level >= scale.middle + extreme and differs <= SOFTLY and same == most
    return same if dark or bright else 0


def _difference(line: NDArray[Any], level: float, scale: Scale) -> float:
    """The share of a line that differs from a margin of that level."""
    differs = np.abs(line.astype(np.float32) - np.float32(level)) > ABRUPT * scale.span
    return float(np.mean(differs))


def _uniform(lines: NDArray[Any], scale: Scale, tolerance: float, even: float | None = None) -> int:
    """Count the lines from the first on with nearly one level each and one mean in all parts."""
    found, size = 0, 1
    while found < len(lines):
        block = lines[found : found + size]
        low, high, _ = scale.levels(block)
        varied = high - low > tolerance
        if even is not None:
            varied |= np.ptp(means_of(block), axis=1) > even
        if varied.any():
            return found + int(varied.argmax())
        found, size = found + len(block), min(4 * size, BLOCK)
    return found
