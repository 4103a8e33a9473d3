"""
Bright air: a film that came inverted and without a tag that says so is known by its background, and
turned.
"""

from dataclasses import replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.inference.image.mammogram import Mammogram, Pixels, bits

SIDE: Final = 256
"""Upper limit of the longest side on which the background is looked at, in pixels."""
BORDER: Final = 0.02
"""Share of each side that is left out: film edges and scanner frames."""
BAND: Final = 0.1
"""Width of the band along the four sides in which most is air, as a share of each side."""
AIR_WIDTH: Final = 4
"""Grey levels of 256 to either side of the air's own that still are air."""
CERTAIN: Final = 0.4
"""
The background must speak for bright air by at least this much of 3. CBIS-DDSM training films as
they should be reach -0.5.
"""


def is_inverted(thumbnail: Pixels) -> bool:
    """
    Whether the background is bright, which air never is; in doubt it is not.

    Args:
        thumbnail: a small copy of the mammogram, shape (rows, columns), uint8 or uint16.
    """
    levels = _levels(thumbnail)
    if levels.min() == levels.max():
        return False
    return 2 * _bright_border(levels) + _brightness_of_air(levels) > CERTAIN


def turned(image: Mammogram) -> Mammogram:
    """The same with bright and dark exchanged."""
    top = image.pixels.dtype.type(image.white or 2**image.facts.bits - 1)
    pixels = np.asarray(top - image.pixels)
    background = None if image.background is None else int(top) - image.background
    white = image.white or 2 ** bits(pixels) - 1  # 12 bits, inverted in 16, use the upper end only
    return replace(image, pixels=pixels, background=background, white=white)


def spread(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """
    The same with its 0.5th to 99.5th percentile spread over 256 grey levels: what offset and
    contrast a scanner gave is gone.
    """
    values = pixels.astype(np.float32)
    low, high = np.percentile(values, (0.5, 99.5))
    levels: NDArray[np.uint8] = np.rint(
        np.clip((values - low) * (255 / max(high - low, 1e-6)), 0, 255)
    ).astype(np.uint8)
    return levels


def _levels(thumbnail: Pixels) -> NDArray[np.uint8]:
    """A smaller copy without its border."""
    scale = min(1.0, SIDE / max(thumbnail.shape))
    rows, columns = (max(1, round(side * scale)) for side in thumbnail.shape)
    small = cv2.resize(thumbnail, (columns, rows), interpolation=cv2.INTER_AREA)
    top, left = round(rows * BORDER), round(columns * BORDER)
    return spread(small[top : rows - top, left : columns - left])


def _band(levels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Strips along the top, the bottom, the left and the right side."""
    rows, columns = (max(1, round(side * BAND)) for side in levels.shape)
    return levels[:rows], levels[-rows:], levels[:, :columns], levels[:, -columns:]


def _bright_border(levels: NDArray[np.uint8]) -> float:
    """
    How much of the band is bright rather than dark, -1 to 1: the breast leaves most of the border
    to the air.

    What is bright is cut by Otsu's threshold (Otsu, 1979), so this also holds for a pale film.
    """
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_OTSU)
    return 2 * float(np.mean([np.mean(strip > threshold) for strip in _band(levels)])) - 1


def _brightness_of_air(levels: NDArray[np.uint8]) -> float:
    """
    How much of the picture is darker than the air rather than brighter, -1 to 1: the air is what
    the band has most of.
    """
    counts = np.bincount(np.concatenate([strip.ravel() for strip in _band(levels)]), minlength=256)
    air = int(np.convolve(counts, np.ones(2 * AIR_WIDTH + 1), "same").argmax())
    darker, brighter = np.mean(levels < air - AIR_WIDTH), np.mean(levels > air + AIR_WIDTH)
    return float(darker - brighter)
