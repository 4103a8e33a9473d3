"""
Know what is no whole mammogram in a picture that no header calls one.

A breast takes much of the height of its picture; on a page with a small picture it does not.
"""

from typing import Final

import numpy as np

from edge.inference.breast import Mask

LEAST_HEIGHT: Final = 0.3
"""A breast takes at least this share of the picture's height; 49 % is the least of 3,410 films."""


def doubt_of(mask: Mask, shown: float) -> str | None:
    """
    Say why a picture without a header is no mammogram; None if it may be one.

    Args:
        mask: of the breast, shape of the small copy; not empty.
        shown: height of the content as a share of the picture's height.
    """
    height = shown * float(np.mean(mask.any(axis=1)))
    if height < LEAST_HEIGHT:
        return (
            f"the breast takes {height:.0%} of the picture's height, expected {LEAST_HEIGHT:.0%} "
            "or more; is this a small picture on a page?"
        )
    return None
