"""
Find the levels that may part a breast from the air beside it.

Air is the darkest level that much of a picture has. Marks may be darker: a masked label, a
collimator.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.levels import Levels, shares

Mode: TypeAlias = tuple[int, int]
"""A level that much of a picture has, and the level at which its share ends."""

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
MARKS: Final = 0.12
"""Marks that are darker than the air, masked labels say, have less than this share of a film."""
AIR_OUTLINE: Final = 0.14
"""Air beside dark marks has at least this share of the picture's outline."""
MARKS_OUTLINE: Final = 1.0
"""Dark marks have less than this share of what air beside them has of the outline."""
FLAT: Final = 0.75
"""Air without noise: so much of the mode lies within one level."""
FLAT_SHARE: Final = 0.05
"""Air covers at least this share of a digital mammogram; tape on a film less."""
ABOVE_AIR: Final = 8
"""Levels of 256 above the air's own that still are air: a film glows at its edges."""
ABOVE_FLAT: Final = 4
"""Levels of 256 above the air's own that still are air at the skin line, if air has no noise."""


class Cut(NamedTuple):
    """A level that may part breast from air."""

    air: int
    """The level of the air, of 256."""
    level: int
    """All that is brighter is tissue."""
    skin: int
    """All beside tissue that is brighter is skin."""
    flat: bool
    """The air has no noise."""


def cuts_of(levels: Levels, smooth: Levels) -> Iterator[Cut]:
    """
    List levels that may part breast from air, the likeliest first.

    Args:
        levels: shape (rows, columns).
        smooth: the same without grain.
    """
    rows, columns = levels.shape
    top, left = round(rows * BORDER), round(columns * BORDER)
    blurred = cv2.GaussianBlur(levels, (0, 0), BLUR * max(rows, columns))
    inner = np.ascontiguousarray(blurred[top : rows - top, left : columns - left], np.uint8)
    otsu, _ = cv2.threshold(inner, 0, 255, cv2.THRESH_OTSU)
    sharp, counts = shares(smooth), shares(inner)
    modes = _modes(counts, round(otsu))
    if _begin_with_marks(modes, counts, inner):
        modes = modes[1:]
    else:
        for air, foot in _modes(sharp, round(otsu))[:1]:
            near = sharp[max(0, air - 1) : air + 2].sum()
            if near >= max(FLAT_SHARE, FLAT * sharp[max(0, air - NEAR) : air + NEAR + 1].sum()):
                yield Cut(air, max(foot, air + ABOVE_AIR), max(foot, air + ABOVE_FLAT), flat=True)
    levels_of = [(air, _knee(counts, air)) for air, _ in modes] + modes
    first = modes[0][0] if modes else 0
    between = [(first, (first + round(otsu)) * part // 4) for part in (1, 2)]
    if counts[: between[0][1]].sum() >= MARKS:  # the darkest is air, which glows, and no mark
        levels_of[1:1] = between
    levels_of += [*between[1:], (first, round(otsu))]
    for air, level in levels_of:
        yield Cut(air, max(level, air + ABOVE_AIR), max(level, air + ABOVE_AIR), flat=False)


def _modes(counts: NDArray[np.float64], top: int) -> list[Mode]:
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


def _begin_with_marks(modes: list[Mode], counts: NDArray[np.float64], inner: Levels) -> bool:
    """Tell if the lowest mode is marks, and the next one the air about them."""
    if len(modes) <= 1 or counts[: modes[0][1]].sum() >= MARKS:
        return False
    end, air = modes[0][1], modes[1][0]
    outline = shares(np.concatenate([inner[0], inner[-1], inner[:, 0], inner[:, -1]]))
    of_air = outline[max(end, air - 2 * NEAR) : air + 2 * NEAR + 1].sum()  # narrow: no tissue
    return bool(of_air >= AIR_OUTLINE and outline[:end].sum() < MARKS_OUTLINE * of_air)


def _knee(counts: NDArray[np.float64], mode: int) -> int:
    """Find the level that lies farthest below the line from a mode to the brightest level."""
    last = int(np.flatnonzero(counts)[-1])
    line = np.linspace(counts[mode], counts[last], last - mode + 1)
    return mode + int((line - counts[mode : last + 1]).argmax())
