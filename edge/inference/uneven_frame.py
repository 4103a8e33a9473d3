"""
Measure a frame with noise or a gradient about a picture, of which no line has one level.

The levels of a frame lie in one plane all round, and it ends abruptly. About a picture without one
they do not: tissue reaches one side at least. Where a dark column hides that, what is all round is
air: dark frames are left to the lines that have one level.
"""

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.inference.margin_lines import (
    ABRUPT,
    ABRUPTLY,
    BLOCK,
    EVEN,
    PARTS,
    UNIFORM,
    Scale,
    means_of,
    mixtures,
    sampled,
)

FEW: Final = 4 * PARTS
"""Shorter sides have no frame: their parts are too short to have a mean."""
SURELY: Final = 5
"""A part whose mean differs from the frame by more than so many standard errors is no frame."""
MIDDLES: Final = (np.arange(PARTS) + 0.5) / PARTS
"""Of a line's parts, as shares of its length."""


class Widths(NamedTuple):
    """Of a frame, in pixels."""

    top: int
    bottom: int
    left: int
    right: int


class _Side(NamedTuple):
    """A side of a picture, and the plane of levels of the frame there."""

    lines: NDArray[Any]
    """From the side inwards, some pixels of each."""
    start: float
    """The level at the first pixel of the first line."""
    along: float
    """The growth of the level along a line."""
    inwards: float
    """The growth of the level from the first line to the last."""

    def parts(self, first: int, count: int) -> NDArray[np.float64]:
        """Between some lines' parts and the frame, the greatest difference for each line."""
        means = means_of(self.lines[first : first + count])
        inwards = self.inwards * (first + np.arange(len(means))) / len(self.lines)
        levels = self.start + self.along * MIDDLES + inwards[:, np.newaxis]
        return np.asarray(np.abs(means - levels).max(axis=1), np.float64)

    def noise(self) -> NDArray[np.float64]:
        """The standard errors of the means of the first line's parts."""
        line = self.lines[0].astype(np.float64)
        pixels = len(line) // PARTS
        parts = line[: pixels * PARTS].reshape(PARTS, pixels)
        return np.asarray(parts.std(axis=1) / np.sqrt(pixels), np.float64)

    def pixels(self, line: int) -> NDArray[np.float64]:
        """Between the pixels of a line and the frame, the differences."""
        found = self.lines[line].astype(np.float64)
        level = self.start + self.inwards * line / len(self.lines)
        differences = np.abs(found - level - self.along * np.linspace(0, 1, len(found)))
        return np.asarray(differences, np.float64)


def uneven_frame(pixels: NDArray[Any], scale: Scale) -> Widths | None:
    """
    Measure a frame; None if there is none.

    Args:
        pixels: shape (rows, columns).
        scale: the levels of the image.
    """
    if min(pixels.shape) < FEW:
        return None
    sides = _sides(pixels)
    darkest = scale.middle - (0.5 - UNIFORM) * scale.span
    if all(side.lines[0].max() <= darkest for side in sides):
        return None  # padding, or air: some of it is kept
    parts = np.concatenate([side.noise() for side in sides])
    even = max(EVEN * scale.span, SURELY * float(np.median(parts)))
    if any(side.parts(0, 1)[0] > even for side in sides):
        return None
    widths = Widths(*(_width(side, even, scale.span) for side in sides))
    rows, columns = pixels.shape
    if widths.top + widths.bottom >= rows or widths.left + widths.right >= columns:
        return None
    return widths if _is_abrupt(sides, widths, scale.span) else None


def _sides(pixels: NDArray[Any]) -> list[_Side]:
    """The four sides, and the plane that is nearest to the levels of their outermost lines."""
    lines = [sampled(view) for view in (pixels, pixels[::-1], pixels.T, pixels.T[::-1])]
    levels = np.concatenate([means_of(each[:1])[0] for each in lines])
    first, last = np.zeros(PARTS), np.ones(PARTS)
    x = np.concatenate([MIDDLES, MIDDLES, first, last])
    y = np.concatenate([first, last, MIDDLES, MIDDLES])
    (level, right, down), *_ = np.linalg.lstsq(np.stack([x**0, x, y], axis=1), levels, rcond=None)
    return [
        _Side(lines[0], level, right, down),
        _Side(lines[1], level + down, right, -down),
        _Side(lines[2], level, down, right),
        _Side(lines[3], level + right, down, -right),
    ]


def _width(side: _Side, even: float, span: float) -> int:
    """Count the lines of the frame at one side."""
    found, size = 0, 1
    while found < len(side.lines):
        differs = side.parts(found, size) > even
        if differs.any():
            found += int(differs.argmax())
            return found + mixtures(side.lines, found, span)
        found, size = found + len(differs), min(4 * size, BLOCK)
    return found


def _is_abrupt(sides: list[_Side], widths: Widths, span: float) -> bool:
    """If much of what lies just inside the frame differs from it."""
    across = (widths.left, widths.right), (widths.top, widths.bottom)
    lengths = len(sides[2].lines), len(sides[0].lines)
    differ = []
    for number, (side, width) in enumerate(zip(sides, widths, strict=True)):
        (before, after), length = across[number // 2], lengths[number // 2]
        pixels = side.pixels(width)
        first, last = (len(pixels) * each // length for each in (before, length - after))
        differ.append(pixels[first:last] > ABRUPT * span)
    return bool(np.concatenate(differ).mean() > ABRUPTLY)
