"""Pixels that are not square: the picture is stretched until they are, as viewers do."""

from typing import Final, cast

import cv2
from pydicom import Dataset

from edge.inference.image.attributes import numbers
from edge.inference.image.mammogram import Limits, Pixels

SOURCES: Final = (
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "PixelAspectRatio",
)
"""Vertical and horizontal, the first that is there (PS3.3, C.7.6.3.1.7)."""
SQUARE: Final = 1.01
"""Sides that differ by less than 1 % are equal."""
LONGEST: Final = 4.0
"""One side of a pixel is at most this many times the other; more is a mistake."""


def squared(header: Dataset, pixels: Pixels, limits: Limits) -> Pixels | None:
    """
    Stretch the coarser side of a picture, each pixel as it is, so that its pixels are square.

    Returns:
        Shape (rows, columns), more of one if they were not square. None if that cannot be done.
    """
    try:
        ratio = _ratio(header)
    except ValueError:
        return None
    if 1 / SQUARE < ratio < SQUARE:
        return pixels
    rows, columns = pixels.shape
    rows, columns = round(rows * max(ratio, 1)), round(columns * max(1 / ratio, 1))
    if not 1 / LONGEST <= ratio <= LONGEST or rows * columns > limits.max_pixels:
        return None
    larger = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT)
    return cast("Pixels", larger)


def _ratio(header: Dataset) -> float:
    """
    Return a pixel's height divided by its width.

    Raises:
        ValueError: the header says something that is no number.
    """
    for keyword in SOURCES:
        match numbers(header, keyword):
            case (height, width) if height > 0 and width > 0:
                return height / width
            case _:
                pass
    return 1.0
