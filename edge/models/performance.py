"""
The worth of a model at a site, from scores and verdicts, in plain Python.

A woman's images resemble each other, so intervals count women: the variance of the AUC is that of
Obuchowski (Biometrics 53 (1997) 567), which with one image a woman is DeLong's (1988); rates have
Wilson's interval (1927) with as many images as the women are worth (Rao and Scott, Biometrics 48
(1992) 577).
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from edge.models.pairs import Pair

LEAST_IMAGES: Final = 30
LEAST_WOMEN: Final = 10
"""`LEAST_IMAGES` or exams of so many women are needed of each class: fewer say too little."""
Z: Final = 1.959963984540054
"""The quantile of the normal distribution for 95 %."""
ECE_BINS: Final = 10
Interval: TypeAlias = tuple[float, float]
Of: TypeAlias = Literal["images", "exams"]


@dataclass(frozen=True, slots=True)
class Class:
    """The images, or exams, of one truth."""

    images: int
    women: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A number between 0 and 1 with its interval of 95 %, over women."""

    value: float
    interval_95: Interval


@dataclass(frozen=True, slots=True)
class Performance:
    """The worth of a model on images with verdicts."""

    auc: Measured
    sensitivity: Measured
    """The share of the malignant images whose score reached the threshold."""
    specificity: Measured
    calibration_error: float
    """Mean |share malignant - mean score| over 10 equal bins, weighted by images."""
    mean_score: float
    malignant_share: float


@dataclass(frozen=True, slots=True)
class Look:
    """The images of both truths, and their worth if there are enough."""

    malignant: Class
    benign: Class
    performance: Performance | None
    why_not: str | None
    """A sentence, if there is no performance."""


def look(pairs: Sequence[Pair], of: Of = "images") -> Look:
    """
    Measure pairs whose women are known, all of one bundle.

    Args:
        pairs: all of images, or all of exams.
        of: which of the two, for the sentence.

    Raises:
        ValueError: a pair has no woman.
    """
    if any(pair.woman is None for pair in pairs):
        msg = "a pair has no woman: leave it out"
        raise ValueError(msg)
    malignant, benign = (
        _class(pair for pair in pairs if pair.is_malignant is truth) for truth in (True, False)
    )
    why_not = _too_few({"malignant": malignant, "benign": benign}, of)
    return Look(malignant, benign, None if why_not else measure(pairs), why_not)


def measure(pairs: Sequence[Pair]) -> Performance:
    """Measure pairs of both truths, however few."""
    malignant = [pair for pair in pairs if pair.is_malignant]
    benign = [pair for pair in pairs if not pair.is_malignant]
    return Performance(
        auc(pairs),
        _rate([(pair.woman, pair.called) for pair in malignant]),
        _rate([(pair.woman, not pair.called) for pair in benign]),
        calibration_error(pairs),
        math.fsum(pair.malignant for pair in pairs) / len(pairs),
        len(malignant) / len(pairs),
    )


def auc(pairs: Sequence[Pair]) -> Measured:
    """
    Compute the area under the ROC curve: how often a malignant image scores above a benign one.

    The interval is Wilson's, for the number of images that have Obuchowski's variance over women:
    near 1 his own is far too narrow. They are at most four times the women of one truth times those
    of the other by their sum, as Hanley and McNeil (Radiology 143 (1982) 29) have it near 1. The
    whole range for a single woman.
    """
    malignant = [pair for pair in pairs if pair.is_malignant]
    benign = [pair for pair in pairs if not pair.is_malignant]
    above = _shares_below(malignant, benign)
    below = [1 - share for share in _shares_below(benign, malignant)]
    area = math.fsum(above) / len(above)
    first, second = _off(malignant, above, area), _off(benign, below, area)
    women = len({*first, *second})
    if min(len(first), len(second)) < 2:  # noqa: PLR2004 - a variance needs two
        return Measured(area, (0.0, 1.0))
    together = math.fsum(first[woman] * second[woman] for woman in first.keys() & second.keys())
    variance = (
        _variance(first, len(malignant))
        + _variance(second, len(benign))
        + 2 * women / (women - 1) * together / (len(malignant) * len(benign))
    )
    most = 4 / (1 / len(first) + 1 / len(second))
    worth = min(most, area * (1 - area) / variance) if variance > 0 else most
    return Measured(area, _wilson(area, worth))


def calibration_error(pairs: Sequence[Pair]) -> float:
    """
    Compute the expected calibration error over 10 equal bins (Naeini et al. 2015).

    It is the mean |share malignant - mean score|, weighted by images.
    """
    off = [0.0] * ECE_BINS
    for pair in pairs:
        off[min(int(pair.malignant * ECE_BINS), ECE_BINS - 1)] += pair.is_malignant - pair.malignant
    return math.fsum(map(abs, off)) / len(pairs)


def _class(pairs: Iterable[Pair]) -> Class:
    women = [pair.woman for pair in pairs]
    return Class(len(women), len(set(women)))


def _too_few(classes: Mapping[str, Class], of: Of) -> str | None:
    """Say what is missing; None if nothing is."""
    few = [
        f"{found.images} {name} {of} of {found.women} women"
        for name, found in classes.items()
        if found.images < LEAST_IMAGES or found.women < LEAST_WOMEN
    ]
    expected = f"expected at least {LEAST_IMAGES} of {LEAST_WOMEN}: fewer say too little"
    return f"{' and '.join(few)}, {expected}" if few else None


def _shares_below(these: Sequence[Pair], those: Sequence[Pair]) -> list[float]:
    """Give for each of these the share of those that score less; an equal score counts half."""
    ordered = sorted(pair.malignant for pair in those)
    return [
        (bisect_left(ordered, one.malignant) + bisect_right(ordered, one.malignant))
        / (2 * len(ordered))
        for one in these
    ]


def _off(pairs: Sequence[Pair], shares: Sequence[float], area: float) -> dict[str | None, float]:
    """Add up by woman how far the shares of her images lie from the area."""
    found: dict[str | None, float] = defaultdict(float)
    for pair, share in zip(pairs, shares, strict=True):
        found[pair.woman] += share - area
    return found


def _variance(by_woman: Mapping[str | None, float], images: int) -> float:
    women = len(by_woman)
    return women / (women - 1) * math.fsum(off**2 for off in by_woman.values()) / images**2


def _rate(answers: Sequence[tuple[str | None, bool]]) -> Measured:
    """Compute the share of right answers; answers of one woman go together."""
    right: dict[str | None, list[bool]] = defaultdict(list)
    for woman, answer in answers:
        right[woman].append(answer)
    images, women = len(answers), len(right)
    share = sum(answer for _, answer in answers) / images
    off = math.fsum((sum(own) - share * len(own)) ** 2 for own in right.values()) / images**2
    variance = off * women / (women - 1) if women > 1 else 0.0
    worth = min(images, share * (1 - share) / variance) if variance > 0 else women
    return Measured(share, _wilson(share, worth))


def _wilson(share: float, images: float) -> Interval:
    centre = share + Z**2 / (2 * images)
    half = Z * math.sqrt(share * (1 - share) / images + (Z / (2 * images)) ** 2)
    scale = 1 + Z**2 / images
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
