"""
From a model's raw score to a probability, a threshold and a band.

All are fitted on validation patients, on the exported file's own scores.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from edge.models.calibration import TINY
from edge.models.manifest import CoverageRisk, OperatingPoint, Platt
from train.errors import TrainError
from train.progress import warn
from train.stats.metrics import Floats, Labels

REFUSED: Final = 0.5
"""The score of a refused mammogram in every figure: the model said nothing."""
DEFAULT: Final = "default"
FIXED_SENSITIVITY: Final = 0.90
FIXED_SPECIFICITY: Final = 0.889
"""The specificity of community radiologists at screening (Lehman et al., Radiology 2017)."""
WIDTHS: Final = tuple(step / 20 for step in range(11))
"""The shares left undecided in the coverage-risk curve: 0 to one half."""
MIN_SLOPE = 1e-3
"""
The least slope: at it scores say nothing or the opposite, and the manifest wants more than 0.
"""


def platt(labels: Labels, raw: Floats) -> Platt:
    """
    Fit p = sigmoid(slope * logit(raw) + intercept) by maximum likelihood.

    Targets are Platt's (1999) (N+ + 1) / (N+ + 2) and 1 / (N- + 2) instead of 1 and 0, which keeps
    few images from giving certainty.
    """
    x = _logits(raw)
    positive = labels.sum()
    target = np.where(labels > 0, (positive + 1) / (positive + 2), 1 / (len(labels) - positive + 2))

    def loss(line: Floats) -> tuple[float, Floats]:
        z = line[0] * x + line[1]
        slope = expit(z) - target
        return float(np.sum(np.logaddexp(0, z) - target * z)), np.array(
            [np.sum(slope * x), np.sum(slope)]
        )

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=[(MIN_SLOPE, None), (None, None)])
    if found.x[0] <= MIN_SLOPE:
        warn(
            "on the validation images the scores are no better than chance: the calibration is flat"
        )
    return Platt(
        slope=float(found.x[0]),
        intercept=float(found.x[1]),
        prevalence=float(positive / len(labels)),
    )


def calibrated(raw: Floats, by: Platt) -> Floats:
    """Calibrate raw scores to probabilities, shape (n,)."""
    return np.asarray(expit(by.slope * _logits(raw) + by.intercept), dtype=np.float64)


def with_refused(scores: Floats, refused: NDArray[np.bool_]) -> Floats:
    """Put one half in place of each refused mammogram's score, shape (n,)."""
    return np.where(refused, REFUSED, scores)


def at_prevalence(p: Floats, from_: float, to: float) -> Floats:
    """
    Shift probabilities to another share of malignant images, by Bayes' rule on the odds.

    Saerens et al., Neural Computation 14 (2002) 21.

    Right as far as only that share differs, not how malignant and benign images look.

    Args:
        p: probabilities, any shape.
        from_: share of malignant images for which they hold, between 0 and 1.
        to: the share wanted.
    """
    return np.asarray(expit(_logits(p) + logit(to) - logit(from_)), dtype=np.float64)


def shifted(by: Platt, to: float) -> Platt:
    """Give the same calibration for another prevalence; it must say for which it holds."""
    if by.prevalence is None:
        msg = (
            "the calibration does not say for which prevalence it "
            "holds; fit it again before it is shifted"
        )
        raise TrainError(msg)
    return Platt(
        slope=by.slope,
        intercept=by.intercept + float(logit(to) - logit(by.prevalence)),
        prevalence=to,
    )


def shifted_point(point: OperatingPoint, from_: float, to: float) -> OperatingPoint:
    """Keep the decisions of an operating point on shifted probabilities."""
    ends = np.array([point.threshold, point.band_low, point.band_high])
    moved = np.where((ends > 0) & (ends < 1), at_prevalence(ends, from_, to), ends)
    threshold, low, high = map(float, moved)
    return OperatingPoint(
        threshold=threshold,
        band_low=low,
        band_high=high,
        chosen_on=f"{point.chosen_on}; shifted to prevalence {to:g}",
    )


def operating_points(
    labels: Labels, scores: Floats, sensitivity: float, undecided: float, data: str
) -> dict[str, OperatingPoint]:
    """
    Choose `default` by the recipe's sensitivity, and two fixed points that studies compare at.

    Args:
        labels: shape (n,), 1 for malignant.
        scores: shape (n,), calibrated.
        sensitivity: of the default.
        undecided: share of the images inside each band.
        data: in words, for the manifest.
    """
    wanted = {DEFAULT: sensitivity, f"sensitivity-{FIXED_SENSITIVITY:.2f}": FIXED_SENSITIVITY}
    points = {
        name: operating_point(labels, scores, share, undecided, data)
        for name, share in wanted.items()
    }
    return {
        **points,
        f"specificity-{FIXED_SPECIFICITY}": _at_specificity(
            labels, scores, FIXED_SPECIFICITY, undecided, data
        ),
    }


def operating_point(
    labels: Labels, scores: Floats, sensitivity: float, undecided: float, data: str
) -> OperatingPoint:
    """Choose the highest threshold that finds this share of the malignant images, with a band."""
    malignant = np.sort(scores[labels > 0])
    missed = math.floor(len(malignant) * (1 - sensitivity) + 1e-9)
    position = int(np.searchsorted(np.sort(scores), malignant[missed]))
    return _around(
        position,
        labels,
        scores,
        undecided,
        f"{data}: highest threshold with sensitivity >= {sensitivity:g}",
    )


def _at_specificity(
    labels: Labels, scores: Floats, specificity: float, undecided: float, data: str
) -> OperatingPoint:
    """Choose the lowest threshold that calls this share of the benign images benign."""
    benign = np.sort(scores[labels == 0])
    called_benign = math.ceil(len(benign) * specificity - 1e-9)
    position = int(np.searchsorted(np.sort(scores), benign[called_benign - 1], side="right"))
    return _around(
        position,
        labels,
        scores,
        undecided,
        f"{data}: lowest threshold with specificity >= {specificity:g}",
    )


def _around(
    position: int, labels: Labels, scores: Floats, undecided: float, rule: str
) -> OperatingPoint:
    """
    Put a threshold below the score at this place, with its band.

    The band holds the images nearest to the threshold in rank: half of the undecided share just
    below it, half from it upwards. Both ends and the threshold are midway between two neighbouring
    scores, so another processor's rounding moves none.
    """
    ordered = np.sort(scores)
    half = int(len(ordered) * undecided / 2)
    threshold, low, high = (
        _below(ordered, place) for place in (position, position - half, position + half)
    )
    text = (
        f"{rule}, on {len(labels)} images ({int(labels.sum())} malignant);"
        f" indeterminate: the {undecided:.0%} of the images "
        "nearest to it in rank, half on each side"
    )
    return OperatingPoint(threshold=threshold, band_low=low, band_high=high, chosen_on=text)


def coverage_risk(
    labels: Labels, scores: Floats, threshold: float, refused: NDArray[np.bool_] | None = None
) -> tuple[CoverageRisk, ...]:
    """
    Measure how much is decided, and how often wrongly, as the band widens.

    El-Yaniv & Wiener, JMLR 11 (2010) 1605.

    Args:
        labels: shape (n,), 1 for malignant.
        scores: shape (n,), calibrated.
        threshold: on them.
        refused: shape (n,): by the gate, so that no band decides them; they stand outside the
            ranks. None: nothing was.
    """
    shut = np.zeros(len(scores), np.bool_) if refused is None else refused
    position = int(np.searchsorted(np.sort(scores[~shut]), threshold))
    points = [
        (share, _around(position, labels[~shut], scores[~shut], share, "")) for share in WIDTHS
    ]
    return tuple(_risk(labels, scores, shut, share, point) for share, point in points)


def _risk(
    labels: Labels, scores: Floats, shut: NDArray[np.bool_], undecided: float, point: OperatingPoint
) -> CoverageRisk:
    kept = decided(scores, point) & ~shut
    truth, called = labels[kept] > 0, scores[kept] >= point.threshold
    return CoverageRisk(
        undecided=undecided,
        coverage=float(kept.mean()),
        risk=_share(truth != called),
        sensitivity=_share(called[truth]),
        specificity=_share(~called[~truth]),
    )


def _share(of: NDArray[np.bool_]) -> float:
    return float(of.mean()) if len(of) else 0.0


def _below(ordered: Floats, position: int) -> float:
    """
    Give the middle between the score at this place and the one before it, or an end of the scale.
    """
    if position <= 0:
        return 0.0
    if position >= len(ordered):
        return 1.0
    return float((ordered[position - 1] + ordered[position]) / 2)


def histogram(scores: Floats) -> tuple[int, ...]:
    """Count the images in each of 20 equal bins from 0 to 1."""
    return tuple(int(count) for count in np.histogram(scores, bins=20, range=(0, 1))[0])


def decided(scores: Floats, point: OperatingPoint) -> NDArray[np.bool_]:
    """Tell which images get `benign` or `malignant` rather than `indeterminate`, shape (n,)."""
    return (scores < point.band_low) | (scores >= point.band_high)


def _logits(raw: Floats) -> Floats:
    return np.asarray(logit(np.clip(raw, TINY, 1 - TINY)), dtype=np.float64)
