"""Colours laid over a film, and the place of an original's pixels on a panel."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import Box
from edge.inference.explain.canvas import Picture
from edge.inference.explain.colours import AGAINST, FOR
from edge.inference.geometry import Geometry

OPAQUE: Final = 0.6
"""The share of a film that the strongest colour hides."""


def on_panel(box: Box, geometry: Geometry, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of an original's box on a panel; never empty."""
    x, y = shape[1] / geometry.columns, shape[0] / geometry.rows
    left, top = min(int(box.xmin * x), shape[1] - 1), min(int(box.ymin * y), shape[0] - 1)
    return left, top, max(left + 1, round(box.xmax * x)), max(top + 1, round(box.ymax * y))


def blended(under: Picture, strength: NDArray[np.float32]) -> Picture:
    """
    Blend red over positive strength and blue over negative, the strongest from 1 on.

    `strength` has shape (rows, columns).
    """
    colour = np.where(
        strength[..., None] > 0, np.array(FOR, np.float32), np.array(AGAINST, np.float32)
    )
    hides = (OPAQUE * np.minimum(np.abs(strength), 1))[..., None]
    return np.rint(under * (1 - hides) + colour * hides).astype(np.uint8)
