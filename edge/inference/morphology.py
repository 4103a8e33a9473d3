"""
Opening and closing by a disc of any size, in two distance transforms each.

A transform looks at no more of a picture than the rectangle about what can be near or far enough.
"""

from collections.abc import Sequence
from math import ceil
from typing import TypeAlias

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

Bits: TypeAlias = NDArray[np.uint8]
"""A mask as OpenCV takes it: 0 or 1, shape (rows, columns)."""


def opened(mask: Bits, radius: float, beyond: int = cv2.BORDER_REFLECT) -> Bits:
    """
    Keep what a disc of this radius can cover without leaving the mask.

    Args:
        mask: shape (rows, columns).
        radius: in pixels.
        beyond: how the mask goes on beyond the picture: mirrored, so that corners are kept and thin
            strips along a side are not, or with its last pixel repeated.
    """
    margin = ceil(radius) + 1
    padded = np.asarray(cv2.copyMakeBorder(mask, margin, margin, margin, margin, beyond), np.uint8)
    at = about(padded, 1)
    core = np.zeros_like(padded)
    core[at] = _distance(padded[at]) > radius
    return np.ascontiguousarray(widened(core, radius)[margin:-margin, margin:-margin])


def closed(mask: Bits, radius: float) -> Bits:
    """Add to the mask what a disc of this radius cannot cover without touching it."""
    at = about(mask, 1)
    found = np.zeros_like(mask)
    found[at] = 1 - opened(1 - mask[at], radius, cv2.BORDER_REPLICATE)
    return found


def widened(mask: Bits, radius: float) -> Bits:
    """Add to the mask what is at most this far away from it."""
    at = about(mask, ceil(radius) + 1)
    found = np.zeros_like(mask)
    found[at] = _distance(1 - mask[at]) <= radius
    return found


def about(mask: Bits, margin: int) -> tuple[slice, slice]:
    """The rows and columns of all that is in the mask, and so many more to each side."""
    left, top, width, height = cv2.boundingRect(mask)
    rows = slice(max(0, top - margin), top + height + margin)
    return rows, slice(max(0, left - margin), left + width + margin)


def outlines_of(mask: Bits) -> Sequence[MatLike]:
    """The outlines of the connected things in the mask, without those of their holes."""
    return cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]


def drawn(outlines: Sequence[MatLike], shape: tuple[int, ...]) -> Bits:
    """The things with these outlines, filled."""
    blank = np.zeros(shape, np.uint8)
    return np.asarray(cv2.drawContours(blank, outlines, -1, 1, cv2.FILLED), np.uint8)


def filled(mask: Bits) -> Bits:
    """The mask with its holes filled."""
    return drawn(outlines_of(mask), mask.shape)


def _distance(mask: Bits) -> NDArray[np.float32]:
    """Return the distance of each pixel of the mask from the nearest pixel outside, in pixels."""
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)
