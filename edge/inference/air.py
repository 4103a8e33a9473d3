"""Find the air beside a breast."""

from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.small_copy import Small

Mask: TypeAlias = NDArray[np.bool_]

SKIN: Final = 4
"""Pixels next to the breast that are not counted as air."""
FEW: Final = 50
"""Fewer pixels say nothing of air."""


def air_of(small: Small, mask: Mask, brightest: float) -> Mask:
    """
    Find the air beside a breast, without the skin line and labels.

    Args:
        small: shape (rows, columns).
        mask: of the breast, the same shape.
        brightest: the 99th percentile of its levels; what is brighter beside it is a label.
    """
    around = np.ones((2 * SKIN + 1, 2 * SKIN + 1), np.uint8)
    beside = cv2.dilate(mask.astype(np.uint8), around) == 0
    return np.asarray(beside & (small <= brightest), np.bool_)
