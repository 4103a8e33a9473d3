"""
Tell a digital mammogram from a scanned film.

A DICOM header that says so decides. Else two things that are seen do. Digital machines even out
the thickness of the breast for display, so that tissue just inside the skin is about as bright as
tissue deep inside; on film it fades into the air. And digital air has one level, where film and
scanner leave grain. Measured on CBIS-DDSM and CDD-CESM, see docs/reference/raster.md.
"""

from math import ceil
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain import Domain, KnownBy
from edge.inference.breast import Breast
from edge.inference.image.mammogram import Mammogram
from edge.inference.morphology import Bits, about
from edge.inference.small_copy import Small

SKIN: Final = (0.005, 0.015)
"""The rim of the breast, as distances inwards from its outline, in longest sides of the picture."""
DEEP: Final = 0.12
"""Tissue at least so far from the outline is deep."""
NEAR_AIR: Final = (0.03, 0.1)
"""Air beside the breast, as distances outwards: labels lie farther away."""
FARTHER: Final = 1.1
"""A row or column farther away is at least a 1.1th of a pixel farther, as OpenCV measures it."""
FEW: Final = 50
"""Fewer pixels say nothing."""
BRIGHT: Final = 0.5
"""The rim of a digital breast has at least this share of the level of deep tissue above air."""
DARK: Final = 0.4
"""The rim of a film has at most this share."""
CLEAN: Final = 0.9995
"""The share of digital air that has one level exactly; scanned films have less."""


def known_domain(image: Mammogram, by_pixels: Domain) -> tuple[Domain, KnownBy | None]:
    """Say the domain of an image, and if header or pixels told it."""
    if image.domain is not None:
        return image.domain, "header"
    return by_pixels, None if by_pixels == "unknown" else "pixels"


def domain_by_pixels(small: Small, breast: Breast) -> Domain:
    """
    Tell the domain by what is seen, or `unknown` if that is ambiguous.

    Args:
        small: the small copy, bright = dense.
        breast: found on it.
    """
    rim, clean = rim_of(small, breast.mask)
    if rim >= BRIGHT or (rim > DARK and clean >= CLEAN):
        return "digital"
    return "film" if rim <= DARK and clean < CLEAN else "unknown"


def rim_of(small: Small, mask: NDArray[np.bool_]) -> tuple[float, float]:
    """
    Measure the rim's level as a share of deep tissue's, and the share of air of one level.

    Either is NaN if there are too few pixels.
    """
    longest = max(small.shape)
    bits = mask.astype(np.uint8)
    at = about(bits, 1)
    inside, inwards = small[at], _distance(bits[at]) / longest
    rim = inside[(inwards > SKIN[0]) & (inwards <= SKIN[1])]
    deep = inside[inwards > DEEP]
    at = about(bits, ceil(FARTHER * NEAR_AIR[1] * longest))
    outwards = _distance(1 - bits[at]) / longest
    air = small[at][(outwards > NEAR_AIR[0]) & (outwards <= NEAR_AIR[1])]
    if min(rim.size, air.size) < FEW:
        return float("nan"), float("nan")
    dark = float(np.median(air))
    bright = float(np.median(deep if deep.size >= FEW else small[mask]))
    clean = float(np.unique(air, return_counts=True)[1].max() / air.size)
    return (float(np.median(rim)) - dark) / max(bright - dark, 1e-6), clean


def _distance(mask: Bits) -> NDArray[np.float32]:
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_3), np.float32)
