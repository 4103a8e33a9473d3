"""The small copy of a mammogram on which breast, side, polarity and window are found."""

from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.image.mammogram import Pixels

Small: TypeAlias = NDArray[np.float32]
"""Shape (rows, columns)."""

SIDE: Final = 384
"""Upper limit of its longest side, in pixels."""
FINE: Final = 64
"""
So many steps of one grey level stay apart: fine enough for a dark film of 8 bits, and coarse enough
that sums in another order give the same.
"""
HALF_UP: Final = 0.501
"""Added before cutting off: a half is rounded up, in whatever order its terms were added."""


def small_copy(pixels: Pixels, background: int | None) -> Small:
    """
    Make a small copy, averaged in float.

    Args:
        pixels: shape (rows, columns).
        background: the padding value, which becomes as dark as the darkest of the rest.
    """
    step = (
        max(1, max(pixels.shape) // (2 * SIDE)) | 1
    )  # odd, so that a grid of any length has a middle
    rows, columns = (_grid(side, step) for side in pixels.shape)
    sample = np.ascontiguousarray(pixels[rows, columns])
    if background is not None:
        sample = _without(sample, background)
    small = smaller(sample.astype(np.float32), SIDE)
    rounded: Small = np.floor(small * np.float32(FINE) + np.float32(HALF_UP)) / np.float32(FINE)
    return rounded


def smaller(values: NDArray[Any], side: int) -> Small:
    """The same with at most so many pixels on its longest side."""
    scale = min(1.0, side / max(values.shape))
    rows, columns = (max(1, round(length * scale)) for length in values.shape)
    if values.shape == (rows, columns):
        return np.asarray(values, np.float32)
    return np.asarray(
        cv2.resize(np.asarray(values, np.float32), (columns, rows), interpolation=cv2.INTER_AREA),
        np.float32,
    )


def _grid(side: int, step: int) -> slice:
    """
    Take every step-th of `side` pixels, as far from the first as from the last.

    So a mirrored film gives the mirrored copy.
    """
    rest = (side - 1) % step
    start = (rest + step * (rest % 2)) // 2
    return slice(start, side - start, step) if start < side else slice(side // 2, side // 2 + 1)


def _without(pixels: Pixels, background: int) -> Pixels:
    """The pixels with padding made as dark as the darkest of the rest."""
    padding = pixels == background
    if not padding.any() or padding.all():
        return pixels
    return np.where(padding, pixels[~padding].min(), pixels)
