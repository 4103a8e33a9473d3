"""
Targets of every cell of the map, from the lesion boxes.

Boxes are drawn about lesions that are roughly elliptical, so a cell belongs to a lesion inside of
the box's ellipse, to none outside of a larger one, and in between it is left alone. All cells of a
lesion share the weight 1: a large lesion teaches no more than a small one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

STRIDE: Final = 16
"""Pixels of the input from cell to cell."""
INSIDE: Final = 0.55
"""Up to this squared distance, in half axes of the box, a cell belongs to the lesion."""
OUTSIDE: Final = 1.7
"""Beyond this one it belongs to none."""
SMALLEST: Final = 16.0
"""Half an axis, in pixels, is taken as at least this long: a lesion is no smaller than a cell."""
NEAREST: Final = 1.2
"""A lesion between the cells takes the nearest one, unless that is farther away than this."""
CALCIFICATION: Final = 0.5
"""Weight of a calcification's diagnosis: at this resolution little is left to tell it by."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A lesion as a target, in pixels of the prepared film."""

    x: float
    y: float
    half_width: float
    half_height: float
    malignant: float
    """1 for malignant, 0 for benign; in between where a reader's doubt is taken into account."""
    mass: bool


@dataclass(frozen=True, slots=True)
class Targets:
    """Of one piece; every array has the shape (rows, columns) of the map."""

    lesion: NDArray[np.float32]
    """Weight as part of a lesion; 1 over the cells of each lesion together."""
    malignant: NDArray[np.float32]
    """Weight as part of a malignant lesion."""
    benign: NDArray[np.float32]
    background: NDArray[np.float32]
    """1 where there is surely no lesion."""
    highest: float
    """The largest `Mark.malignant` of the lesions that show; 0 without any."""

    def stacked(self) -> NDArray[np.float32]:
        """Shape (rows, columns, 4): lesion, malignant, benign, background."""
        return np.stack([self.lesion, self.malignant, self.benign, self.background], axis=-1)


def draw(marks: Sequence[Mark], to_film: NDArray[np.float64], shape: tuple[int, int]) -> Targets:
    """
    Lay the lesions of a film over the cells of a piece of it.

    Args:
        marks: every lesion of the film.
        to_film: shape (2, 3), the affine map from pixels of the piece to pixels of the film.
        shape: rows and columns of the piece's map.
    """
    lesion, malignant, benign = (np.zeros(shape, np.float32) for _ in range(3))
    background, highest = np.ones(shape, np.float32), 0.0
    for mark in marks:
        distance = _distance(mark, to_film, shape)
        background[distance <= OUTSIDE] = 0
        cells = distance <= INSIDE
        if not cells.any() and distance.min() <= NEAREST:
            cells = distance == distance.min()
        if cells.any():
            weight = cells / np.float32(cells.sum())
            sure = 1.0 if mark.mass else CALCIFICATION
            lesion += weight
            malignant += weight * sure * mark.malignant
            benign += weight * sure * (1 - mark.malignant)
            highest = max(highest, mark.malignant)
    return Targets(lesion, malignant, benign, background, highest)


def unknown(shape: tuple[int, int]) -> Targets:
    """
    Lay nothing over the cells of a film whose lesions are not marked: no cell teaches.

    Args:
        shape: rows and columns of the piece's map.
    """
    lesion, malignant, benign, background = (np.zeros(shape, np.float32) for _ in range(4))
    return Targets(lesion, malignant, benign, background, 0.0)


def near(marks: Sequence[Mark], to_film: NDArray[np.float64], shape: tuple[int, int]) -> bool:
    """Tell if any cell of a piece lies in or close to a lesion; arguments as for `draw`."""
    return any(_distance(mark, to_film, shape).min() <= OUTSIDE for mark in marks)


def _distance(
    mark: Mark, to_film: NDArray[np.float64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """Squared distance of each cell's middle from the lesion's, in its half axes."""
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    middles = np.stack([columns, rows, np.zeros_like(rows)]) * STRIDE + (STRIDE - 1) / 2
    middles[2] = 1
    x, y = np.tensordot(to_film, middles, axes=1)
    across, down = max(mark.half_width, SMALLEST), max(mark.half_height, SMALLEST)
    distance: NDArray[np.float64] = ((x - mark.x) / across) ** 2 + ((y - mark.y) / down) ** 2
    return distance
