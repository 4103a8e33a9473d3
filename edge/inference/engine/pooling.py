"""
From a model's logit map to its logit.

A highest cell counts only inside the breast: padding, and what preparation has blackened beside
the breast, can be no place of a lesion. The network itself does not know them from dark tissue.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from edge.domain import Pooling


def cells_inside(
    tensor: NDArray[np.floating], grid: tuple[int, ...], black: float
) -> NDArray[np.bool_]:
    """
    Tell the cells of a map that see anything but black.

    Args:
        tensor: the model's input, shape (1, height, width, channels).
        grid: rows and columns of the map, spread evenly over the input.
        black: the input's value for black.

    Returns:
        Shape `grid`; all true for an input that is black all over.
    """
    lit = (tensor[0] > black).any(axis=-1)
    lit = _any_of(_any_of(lit, grid[0]).T, grid[1]).T
    return lit if lit.any() else np.ones(grid, np.bool_)


def _any_of(lit: NDArray[np.bool_], parts: int) -> NDArray[np.bool_]:
    """Tell for each column and each of so many even parts of the rows if any is true."""
    ends = np.arange(parts + 1) * len(lit) // parts
    return np.stack([lit[start:end].any(axis=0) for start, end in pairwise(ends)])


def pooled(
    logit_map: NDArray[np.float32], pooling: Pooling, inside: NDArray[np.bool_] | None
) -> float:
    """
    Pool a map, shape (rows, columns), to the logit: the mean of its cells, or the highest inside.
    """
    if pooling == "mean":
        return float(logit_map.mean())
    return float((logit_map if inside is None else logit_map[inside]).max())
