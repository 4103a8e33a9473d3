"""
Areas under ROC curves of the same images, with their covariance.

DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988) 837.

Computed from midranks, as Sun & Xu, IEEE Signal Processing Letters 21 (2014) 1389 do. The images
count as independent; if a woman has several, the interval is somewhat too narrow, and that of
`train.stats.bootstrap` over patients is the one to quote.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard error."""

    value: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """Give the 95 % interval, by the normal distribution."""
        half = float(norm.ppf(0.975)) * self.error
        return self.value - half, self.value + half

    @property
    def p(self) -> float:
        """Give the two-sided probability of a number so far from 0 by chance."""
        if not self.error:
            return float(not self.value)
        return float(2 * norm.sf(abs(self.value) / self.error))


def areas(
    labels: NDArray[Any], scores: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """
    Estimate the areas of several scores of the same images.

    Args:
        labels: shape (n,), 1 for malignant; at least two of each class.
        scores: shape (k, n).

    Returns:
        The k areas, and their covariance, shape (k, k).
    """
    malignant, benign = scores[:, labels > 0], scores[:, labels == 0]
    m, n = malignant.shape[1], benign.shape[1]
    ranks = rankdata(np.concatenate([malignant, benign], axis=1), axis=1)
    # Of each malignant image the share of benign ones below it, and of each benign image the share
    # of malignant ones above it.
    above = (ranks[:, :m] - rankdata(malignant, axis=1)) / n
    below = 1 - (ranks[:, m:] - rankdata(benign, axis=1)) / m
    return above.mean(axis=1), np.atleast_2d(np.cov(above)) / m + np.atleast_2d(np.cov(below)) / n


def area(labels: NDArray[Any], scores: NDArray[Any]) -> Estimate:
    """Estimate the area of one score, shape (n,)."""
    values, covariance = areas(labels, scores[None])
    return Estimate(float(values[0]), float(np.sqrt(covariance[0, 0])))


def difference(labels: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> Estimate:
    """
    Estimate the area of the first minus that of the second score of the same images.

    The test is paired, so that what both share does not widen it.
    """
    values, covariance = areas(labels, np.stack([first, second]))
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return Estimate(float(values[0] - values[1]), float(np.sqrt(max(variance, 0.0))))
