"""The model's map, laid over the mammogram that it belongs to."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import HeatMap, InputSpec
from edge.inference.geometry import Geometry

OUTSIDE: Final = -20.0
"""The logit of a cell beside the breast: a probability of 2e-9."""


def heat_map(
    logits: NDArray[np.float32],
    geometry: Geometry,
    spec: InputSpec,
    inside: NDArray[np.bool_] | None = None,
) -> HeatMap:
    """
    Lay the model's logit map over the original.

    Args:
        logits: shape (grid rows, grid columns), spread evenly over the model's input.
        geometry: of the image that gave it.
        spec: the model's input.
        inside: cells that see the breast, shape (grid rows, grid columns); None: all count.

    Returns:
        Interpolated onto the cut-out: padding dropped, flip undone, about as many cells as the map
        has there. Cells beside the breast are OUTSIDE.
    """
    y = _cells(logits.shape[0], spec.height, geometry.top, geometry.height)
    x = _cells(logits.shape[1], spec.width, geometry.left, geometry.width)
    along_x = [np.interp(x, np.arange(logits.shape[1]), row) for row in logits]
    values = np.array(
        [np.interp(y, np.arange(logits.shape[0]), column) for column in np.array(along_x).T]
    ).T
    if inside is not None:
        rows, columns = _nearest(y, inside.shape[0]), _nearest(x, inside.shape[1])
        values = np.where(inside[np.ix_(rows, columns)], values, OUTSIDE)
    if geometry.flipped:
        values = values[:, ::-1]
    return HeatMap(tuple(tuple(map(float, row)) for row in values), geometry.box)


def _nearest(places: NDArray[np.float64], cells: int) -> NDArray[np.intp]:
    return np.clip(np.rint(places), 0, cells - 1).astype(np.intp)


def _cells(cells: int, extent: int, start: int, length: int) -> NDArray[np.float64]:
    """Centres of the new cells over start .. start + length, in units of the old cells."""
    size = extent / cells
    count = max(1, round(length / size))
    return (start + (np.arange(count) + 0.5) * length / count) / size - 0.5
