"""
The bootstrap over patients (Efron 1979): women are drawn, each with all of her images.

Two films of one woman are no two witnesses. A draw is a row of weights, how often each image is in
it, so that a score of all draws is a few matrix operations: 2000 draws of 400 images take a
fraction of a second.
"""

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

Weights: TypeAlias = NDArray[np.float64]
"""The number of times each image is in each draw, shape (draws, n)."""
Floats: TypeAlias = NDArray[np.float64]

RESAMPLES: Final = 2000
NEWTON_STEPS: Final = 25
CLIP: Final = 1e-6
"""The distance that probabilities keep from 0 and 1, where the logit would be infinite."""


def draw(labels: NDArray[Any], patients: NDArray[np.str_], seed: int) -> Weights:
    """Draw RESAMPLES weights. A draw that lacks a class is drawn again, if there are both."""
    generator = np.random.default_rng(seed)
    names, member = np.unique(patients, return_inverse=True)
    both = 0 < np.sum(labels > 0) < len(labels)
    kept: list[Weights] = []
    while sum(map(len, kept)) < RESAMPLES:
        weights = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)[
            :, member
        ].astype(np.float64)
        malignant = weights @ (labels > 0)
        kept.append(
            weights[(malignant > 0) & (malignant < weights.sum(axis=1))] if both else weights
        )
    return np.concatenate(kept)[:RESAMPLES]


def interval(values: Floats) -> list[float] | None:
    """
    Give the 95 % interval by percentiles; None if the score never has a value.

    Draws in which the score has no value are left out.
    """
    finite = values[np.isfinite(values)]
    return [float(value) for value in np.percentile(finite, (2.5, 97.5))] if len(finite) else None


def mean(values: NDArray[Any], among: NDArray[np.bool_], weights: Weights) -> Floats:
    """Average some of the values in every draw, shape (draws,); NaN if a draw has none of them."""
    total = weights[:, among].sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray((weights[:, among] @ values[among]) / total, dtype=np.float64)


def auc(labels: NDArray[Any], scores: Floats, weights: Weights) -> Floats:
    """
    Compute the area under the ROC curve in every draw, shape (draws,); ties count by half.
    """
    malignant, benign = _per_score(labels, scores, weights)
    below = np.cumsum(benign, axis=1) - benign / 2
    with np.errstate(invalid="ignore"):
        return np.asarray(
            (malignant * below).sum(axis=1) / malignant.sum(axis=1) / benign.sum(axis=1),
            dtype=np.float64,
        )


def average_precision(labels: NDArray[Any], scores: Floats, weights: Weights) -> Floats:
    """
    Average the precision at each malignant image, from the highest score down, shape (draws,).
    """
    malignant, benign = (counts[:, ::-1] for counts in _per_score(labels, scores, weights))
    found, called = np.cumsum(malignant, axis=1), np.cumsum(malignant + benign, axis=1)
    with np.errstate(invalid="ignore"):
        precision = np.where(called > 0, found / called, 0)
        return np.asarray(
            (precision * malignant).sum(axis=1) / malignant.sum(axis=1), dtype=np.float64
        )


def calibration_line(
    labels: NDArray[Any], scores: Floats, weights: Weights
) -> tuple[Floats, Floats]:
    """
    Fit the labels on logit(score) in every draw: slope and intercept, each (draws,).

    Cox (1958): 1 and 0 if the probabilities are right; a slope below 1 means that they are too far
    from one half. By Newton's method; NaN if it finds no end, as when the scores separate the
    classes.
    """
    x = logit(np.clip(scores, CLIP, 1 - CLIP))
    line = np.tile(np.array([1.0, 0.0]), (len(weights), 1))
    with np.errstate(all="ignore"):
        for _ in range(NEWTON_STEPS):
            p = expit(line[:, :1] * x + line[:, 1:])
            off, bend = weights * (labels - p), weights * p * (1 - p)
            a, b, c = bend @ (x * x), bend @ x, bend.sum(axis=1)
            g, h = off @ x, off.sum(axis=1)
            step = np.stack([c * g - b * h, a * h - b * g], axis=1) / (a * c - b * b)[:, None]
            line += step
            if (np.abs(step) < CLIP).all():
                break
        line[~(np.abs(step) < CLIP).all(axis=1)] = np.nan
    return line[:, 0], line[:, 1]


def _per_score(labels: NDArray[Any], scores: Floats, weights: Weights) -> tuple[Weights, Weights]:
    """
    Sum the weights of malignant and benign images at each distinct score, ascending.

    Each is of shape (draws, scores).
    """
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf))
    ordered, malignant = weights[:, order], (labels > 0)[order]
    return np.add.reduceat(ordered * malignant, starts, axis=1), np.add.reduceat(
        ordered * ~malignant, starts, axis=1
    )
