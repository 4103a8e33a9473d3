"""Segment a mammogram: its content, its polarity and its breast, before a model looks at it."""

from dataclasses import dataclass
from math import ceil
from typing import Final

import cv2
import numpy as np

from edge.inference.breast import Breast, find_breast
from edge.inference.drawn_lines import without_lines
from edge.inference.headerless import doubt_of
from edge.inference.image.mammogram import Mammogram
from edge.inference.levels import quantiles
from edge.inference.margins import (
    AROUND,
    Content,
    Flat,
    artefacts,
    content_of,
    flats_of,
    glaring,
    marks,
)
from edge.inference.polarity import is_inverted
from edge.inference.small_copy import Small, small_copy
from edge.inference.whole_breast import fault_of

BRIGHTEST: Final = 99.9
"""The percentile of the pixels that is taken for the brightest: a label may be brighter."""
EIGHT_BITS: Final = 255
"""The highest value of 8 bits; a picture of fewer counts as one of 8."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The findings on the small copy."""

    content: Content
    turned: bool
    """True if bright and dark were exchanged."""
    white: float
    """The value that pixels are subtracted from to turn them."""
    small: Small
    """The content after turning, artefacts made dark."""
    artefacts: tuple[Flat, ...]
    """Flat areas that are no picture, with the level that they have in the file."""
    breast: Breast
    fault: str | None
    """Why this is not one whole breast; None if it is one."""


def segment(image: Mammogram) -> Segmentation:
    """Find the content of an image, tell if it is a negative, and find the breast on it."""
    content = content_of(image)
    pixels = content.of(image.pixels)
    small = without_lines(small_copy(pixels, image.background), pixels)
    flats = flats_of(small)
    stated = image.facts.format == "dicom"
    on_air = marks(small, flats)
    turned = is_inverted(small, glaring(small, flats, on_air), on_air, stated=stated)
    white = _white(image, small)
    if turned:
        small = np.maximum(np.float32(white) - small, 0)
        flats = [Flat(flat.mask, white - flat.level, flat.tolerance) for flat in flats]
    wrong = artefacts(small, flats)
    covered = None
    if wrong:
        small = small.copy()
        covered = np.logical_or.reduce([flat.mask for flat in wrong])
        covered = cv2.dilate(covered.astype(np.uint8), AROUND) > 0  # its edge is a mixture
        small[covered] = small[~covered].min()
    as_stored = tuple(
        Flat(flat.mask, white - flat.level, flat.tolerance) if turned else flat for flat in wrong
    )
    breast = find_breast(small)
    fault = fault_of(small, breast, covered)
    if fault is None and breast.mask.any() and not image.mammography:
        shown = (content.bottom - content.top) / image.pixels.shape[0]
        fault = doubt_of(small, breast.mask, shown)
    return Segmentation(content, turned, white, small, as_stored, breast, fault)


def _white(image: Mammogram, small: Small) -> float:
    """The top of the range that the content uses, a few bright pixels aside."""
    bits = 8
    if small.max() > EIGHT_BITS:
        bits = max(bits, ceil(np.log2(quantiles(small, BRIGHTEST)[0] + 1)))
    return float(min(image.white or 2**image.facts.bits - 1, 2**bits - 1))
