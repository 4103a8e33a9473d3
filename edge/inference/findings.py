"""The places that a map of malignancy points at, in pixels of the original."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain import Box, Finding
from edge.inference.geometry import Geometry

MOST: Final = 3
APART: Final = 5
"""
Cells between two peaks, rows or columns: the map is an average over 5 x 5 cells, so nearer ones
share what they see.
"""
HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class LogitMap:
    """A map of which the highest cell inside the breast is the logit of the score."""

    logits: NDArray[np.float32]
    """Shape (rows, columns)."""
    inside: NDArray[np.bool_]
    """Cells that see the breast, same shape."""
    geometry: Geometry
    """Of the image that gave the map."""
    cell: tuple[float, float]
    """Height and width of a cell, in pixels of the model's input."""


def find(of: LogitMap, probability: Callable[[float], float], least: float) -> tuple[Finding, ...]:
    """
    Find the peaks of a map: the highest, and up to two more that are no less than `least`.

    Args:
        of: the map.
        probability: calibrates a logit.
        least: the least calibrated score of the second and third peak, 0 to 1.

    Returns:
        The highest first, whose probability is the image's score.
    """
    seen = np.where(of.inside, of.logits, np.float32(-np.inf))
    found: list[Finding] = []
    for row, column in _peaks(seen):
        score = probability(float(of.logits[row, column]))
        if len(found) == MOST or (found and score < least):
            break
        rows, columns = _extent(seen, of.inside, row, column)
        x, y = _place(of, row + HALF, column + HALF)
        box = _box(of, rows, columns)
        found.append(Finding(x, y, box, score))
    return tuple(found)


def _peaks(seen: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Give cells that no neighbour exceeds, the highest first, none near an earlier one."""
    highest = cv2.dilate(seen, np.ones((3, 3), np.uint8), borderValue=float("-inf"))
    rows, columns = np.nonzero((seen >= highest) & np.isfinite(seen))
    order = np.argsort(-seen[rows, columns], kind="stable")
    given: list[tuple[int, int]] = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if all(max(abs(row - y), abs(column - x)) >= APART for y, x in given):
            given.append((row, column))
            yield row, column


def _extent(
    seen: NDArray[np.float32], inside: NDArray[np.bool_], row: int, column: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """First and last row, and column, of the cells around a peak that lie above half height."""
    median = float(np.median(seen[inside]))
    level = median + HALF * (float(seen[row, column]) - median)
    _, regions = cv2.connectedComponents((seen >= level).astype(np.uint8), connectivity=4)
    rows, columns = np.nonzero(regions == regions[row, column])
    return (int(rows.min()), int(rows.max())), (int(columns.min()), int(columns.max()))


def _box(of: LogitMap, rows: tuple[int, int], columns: tuple[int, int]) -> Box:
    one = _place(of, rows[0], columns[0])
    other = _place(of, rows[1] + 1, columns[1] + 1)
    (xmin, xmax), (ymin, ymax) = (sorted(ends) for ends in zip(one, other, strict=True))
    return Box(xmin, ymin, xmax, ymax)


def _place(of: LogitMap, row: float, column: float) -> tuple[float, float]:
    """X and y in the original of a place on the map; padding is moved to the cut-out's edge."""
    geometry = of.geometry
    down = min(max((row * of.cell[0] - geometry.top) / geometry.height, 0.0), 1.0)
    along = min(max((column * of.cell[1] - geometry.left) / geometry.width, 0.0), 1.0)
    along = 1 - along if geometry.flipped else along
    box = geometry.box
    return box.xmin + along * (box.xmax - box.xmin), box.ymin + down * (box.ymax - box.ymin)
