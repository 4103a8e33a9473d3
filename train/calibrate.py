"""From a model's raw score to a probability, a threshold and a band: fitted on validation patients, on the exported file's own scores."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from edge.bundle import OperatingPoint, Platt
from train.metrics import Floats, Labels
from train.progress import warn

CLIP = 1e-6
"""Raw scores are kept this far from 0 and 1, where the logit would be infinite."""
MIN_SLOPE = 1e-3
"""A slope at this bound means scores that say nothing or the opposite; the manifest wants it positive."""


def platt(labels: Labels, raw: Floats) -> Platt:
    """
    Fit p = sigmoid(slope * logit(raw) + intercept) by maximum likelihood.

    Targets are Platt's (1999) (N+ + 1) / (N+ + 2) and 1 / (N- + 2) instead of 1 and 0, which keeps few images from giving certainty.
    """
    x = _logits(raw)
    positive = labels.sum()
    target = np.where(labels > 0, (positive + 1) / (positive + 2), 1 / (len(labels) - positive + 2))

    def loss(line: Floats) -> tuple[float, Floats]:
        z = line[0] * x + line[1]
        slope = expit(z) - target
        return float(np.sum(np.logaddexp(0, z) - target * z)), np.array([np.sum(slope * x), np.sum(slope)])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=[(MIN_SLOPE, None), (None, None)])
    if found.x[0] <= MIN_SLOPE:
        warn("on the validation images the scores are no better than chance: the calibration is flat")
    return Platt(slope=float(found.x[0]), intercept=float(found.x[1]))


def calibrated(raw: Floats, by: Platt) -> Floats:
    """Calibrated probabilities, shape (n,)."""
    return np.asarray(expit(by.slope * _logits(raw) + by.intercept), dtype=np.float64)


def operating_point(labels: Labels, scores: Floats, sensitivity: float, undecided: float, data: str) -> OperatingPoint:
    """
    The highest threshold that finds this share of the malignant images, and a band around it.

    The band holds the images nearest to the threshold in rank: half of the undecided share just below it, half from it
    upwards. Both ends and the threshold are midway between two neighbouring scores, so another processor's rounding moves none.

    Args:
        labels: shape (n,), 1 for malignant.
        scores: shape (n,), calibrated.
        sensitivity: of the malignant images, 0 to 1.
        undecided: of all images, 0 to 1.
        data: in words, for the manifest.
    """
    ordered = np.sort(scores)
    malignant = np.sort(scores[labels > 0])
    missed = math.floor(len(malignant) * (1 - sensitivity) + 1e-9)
    position = int(np.searchsorted(ordered, malignant[missed]))
    half = int(len(ordered) * undecided / 2)
    threshold, low, high = (_below(ordered, place) for place in (position, position - half, position + half))
    rule = (
        f"{data}: {len(labels)} images ({int(labels.sum())} malignant); highest threshold with sensitivity >= {sensitivity:g};"
        f" indeterminate: the {undecided:.0%} of the images nearest to it in rank, half on each side"
    )
    return OperatingPoint(threshold=threshold, band_low=low, band_high=high, chosen_on=rule)


def _below(ordered: Floats, position: int) -> float:
    """Midway between the score at this place and the one before it; the ends of the scale beyond the ends."""
    if position <= 0:
        return 0.0
    if position >= len(ordered):
        return 1.0
    return float((ordered[position - 1] + ordered[position]) / 2)


def histogram(scores: Floats) -> tuple[int, ...]:
    """Images in each of 20 equal bins from 0 to 1."""
    return tuple(int(count) for count in np.histogram(scores, bins=20, range=(0, 1))[0])


def decided(scores: Floats, point: OperatingPoint) -> NDArray[np.bool_]:
    """Which images get `benign` or `malignant` rather than `indeterminate`, shape (n,)."""
    return (scores < point.band_low) | (scores >= point.band_high)


def _logits(raw: Floats) -> Floats:
    return np.asarray(logit(np.clip(raw, CLIP, 1 - CLIP)), dtype=np.float64)
