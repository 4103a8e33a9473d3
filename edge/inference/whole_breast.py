"""
Know one whole breast by its chest wall, its skin line and the air beyond it.

The side at the chest wall is straight, since the picture or the muscle ends there; a skin line is
round. Air is even, so a piece cut out of a breast, whose dark parts are fat, has none. Pictures
that were put side by side have a seam between them: an upright, straight, abrupt edge.
"""

from typing import Final, NamedTuple

import numpy as np

from edge.inference.air import FEW, air_of
from edge.inference.breast import Breast, Mask
from edge.inference.levels import quantiles
from edge.inference.small_copy import Small

NEAR: Final = 0.03
"""A row ends at the chest wall if it ends within this share of the breast's width from it."""
STRAIGHT: Final = 0.55
"""The side at the chest wall is straight over at least this share of the breast's height."""
REACHED: Final = 0.4
"""The other side of the picture is reached over less than this share of the breast's height."""
SECOND: Final = 0.5
"""Nothing beside the breast has more than this share of its area."""
UNEVEN: Final = 1.0
"""The levels of air cover at most this share of those of the breast."""
WITHOUT_AIR: Final = 1.09
"""That share and the breast's share of the picture's border are together at most so much."""
MOST_OF_AIR: Final = (10, 90)
"""Percentiles between which most of the air's levels lie."""
SEAM: Final = 0.45
"""No upright edge inside a picture is straight over more than this share of its height."""
ABRUPT: Final = 0.12
"""Levels differ across a seam by more than this share of their range."""
FAR: Final = 5
"""Levels differ so many pixels from a seam, too: beside a line they are the same again."""
INSIDE: Final = 0.2
"""Seams are looked for farther than this share of the width from the sides: there films end."""


class Outline(NamedTuple):
    """The sides of a breast, each as a share of its height."""

    left: float
    """Over which the left side is straight."""
    right: float
    """Over which the right side is straight."""
    reach_left: float
    """Over which the left side of the picture is reached."""
    reach_right: float
    """Over which the right side of the picture is reached."""


def fault_of(small: Small, breast: Breast, covered: Mask | None = None) -> str | None:
    """
    Say why this is not one whole breast; None if it is, or if there is no breast.

    Args:
        small: shape (rows, columns), artefacts made dark.
        breast: on it.
        covered: where the artefacts were, shape of the small copy; None without any.
    """
    if not breast.mask.any():
        return None
    seam = seam_of(small, covered)
    if seam > SEAM:
        return (
            f"an upright straight edge parts the picture over {seam:.0%} of its height, expected "
            f"{SEAM:.0%} or less; is this more than one picture?"
        )
    if breast.second > SECOND:
        return (
            f"beside the largest bright area lies another of {breast.second:.0%} of its size, "
            f"expected {SECOND:.0%} or less; is this more than one breast?"
        )
    outline = outline_of(breast.mask)
    straight = max(outline.left, outline.right)
    if straight < STRAIGHT:
        return (
            f"no chest wall: neither side is straight over more than {straight:.0%} of the height, "
            f"expected {STRAIGHT:.0%} or more on one; is this more than one breast, or a part?"
        )
    reach = min(outline.reach_left, outline.reach_right)
    if reach > REACHED:
        return (
            f"no skin line: tissue reaches both sides of the picture over {reach:.0%} of its "
            f"height, expected {REACHED:.0%} or less on one"
        )
    return _without_air(small, breast.mask)


def seam_of(small: Small, covered: Mask | None) -> float:
    """
    Measure the longest upright edge inside a picture, as a share of its height.

    Args:
        small: shape (rows, columns).
        covered: pixels that say nothing; None without any.
    """
    rows = small[::2]
    columns = rows.shape[1]
    start = max(FAR, int(columns * INSIDE))
    if columns < 2 * start + 1:
        return 0.0
    low, high = quantiles(rows[:, ::2], 1, 99)
    least = np.float32(ABRUPT * (high - low))
    near, far = (_across(rows, start, step) for step in (1, FAR))
    if covered is not None:
        near[_across(covered[::2].astype(np.float32), start, FAR, np.add) > 0] = 0
    rises = (near > least) & (far > np.maximum(near / 2, least))
    falls = (near < -least) & (far < np.minimum(near / 2, -least))
    return float(max(np.mean(edges, axis=0).max() for edges in (rises, falls)))


def _across(rows: Small, start: int, step: int, of: np.ufunc = np.subtract) -> Small:
    """Compare the pixels `step` to the right of each inner pixel with those to its left."""
    end = rows.shape[1] - start
    found: Small = of(rows[:, start + step : end + step], rows[:, start - step : end - step])
    return found


def outline_of(mask: Mask) -> Outline:
    """Measure the sides of a breast; the mask is not empty."""
    rows = mask[mask.any(axis=1)]
    first = rows.argmax(axis=1)
    last = rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    near = NEAR * (last.max() - first.min() + 1)
    return Outline(
        float(np.mean(first <= first.min() + near)),
        float(np.mean(last >= last.max() - near)),
        float(np.mean(first <= 1)),
        float(np.mean(last >= rows.shape[1] - 2)),
    )


def _without_air(small: Small, mask: Mask) -> str | None:
    low, high = quantiles(small[mask], 1, 99)
    air = air_of(small, mask, high)
    uneven = 1.0
    if air.sum() > FEW:
        darkest, brightest = quantiles(small[air], *MOST_OF_AIR)
        uneven = (brightest - darkest) / max(high - low, 1e-6)
    border = float(np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean())
    if uneven <= UNEVEN and uneven + border <= WITHOUT_AIR:
        return None
    return (
        f"no air beside it: the levels there cover {min(uneven, 9.99):.0%} of those of the tissue, "
        f"which takes {border:.0%} of the picture's border; expected at most {UNEVEN:.0%}, and "
        f"{WITHOUT_AIR:.0%} together; is this a part of a breast?"
    )
