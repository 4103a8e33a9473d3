"""The scores of a classifier on unseen patients, with intervals over patients."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from train.stats import bootstrap, delong
from train.stats.bootstrap import Weights

Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.float32]
Patients: TypeAlias = NDArray[np.str_]

ECE_BINS: Final = 10
ONE_HALF: Final = 0.5
SCREENING_PREVALENCE: Final = 0.0059
"""The share of cancers among screened women: 5.9 in a thousand."""


def measure(
    labels: Labels, scores: Floats, patients: Patients, threshold: float | Floats, seed: int
) -> dict[str, Any]:
    """
    Compute all numbers of one set of images.

    Args:
        labels: shape (n,), 1 for malignant.
        scores: shape (n,), calibrated probabilities of malignancy; of a refused image 0.5.
        patients: shape (n,).
        threshold: a score of at least this is called malignant; one for all, or shape (n,).
        seed: of the bootstrap.
    """
    weights = bootstrap.draw(labels, patients, seed)
    parts = (
        ranking(labels, scores, weights),
        at_threshold(labels, scores, threshold, weights),
        calibration(labels, scores, weights),
    )
    return {
        "images": len(labels),
        "malignant": int(labels.sum()),
        "patients": len(set(patients.tolist())),
        **{name: value for part in parts for name, value in part.items()},
        "intervals_95": {
            name: value for part in parts for name, value in part["intervals_95"].items()
        },
    }


def auc(labels: Labels, scores: Floats) -> float:
    """
    Compute the area under the ROC curve: how often a malignant image scores above a benign one.
    """
    return float(sk.roc_auc_score(labels, scores))


def average_precision(labels: Labels, scores: Floats) -> float:
    """
    Compute the area under the precision-recall curve; chance is the share of malignant images.
    """
    return float(sk.average_precision_score(labels, scores))


def ranking(labels: Labels, scores: Floats, weights: Weights) -> dict[str, Any]:
    """
    Measure how well scores rank: AUC with DeLong's and the bootstrap's interval, precision.

    Both are None if a class is missing.
    """
    if not 0 < labels.sum() < len(labels):
        return {"auc": None, "average_precision": None, "auc_delong_95": None, "intervals_95": {}}
    return {
        "auc": auc(labels, scores),
        "average_precision": average_precision(labels, scores),
        "auc_delong_95": _delong(labels, scores),
        "intervals_95": {
            "auc": bootstrap.interval(bootstrap.auc(labels, scores, weights)),
            "average_precision": bootstrap.interval(
                bootstrap.average_precision(labels, scores, weights)
            ),
        },
    }


def at_threshold(
    labels: Labels, scores: Floats, threshold: float | Floats, weights: Weights
) -> dict[str, Any]:
    """
    Call every score from its threshold up malignant: rates, confusion, predictive values.

    `threshold` in what is returned is None if there was not one for all.
    """
    called = scores >= threshold
    found = rates(labels, called)
    drawn = _rates(_counts(labels, called, weights))
    sensitivity, specificity = found["sensitivity"], found["specificity"]
    return {
        "threshold": threshold if isinstance(threshold, float) else None,
        **found,
        "confusion": confusion(labels, called),
        "at_screening_prevalence": {
            **predictive_values(sensitivity, specificity, SCREENING_PREVALENCE),
            "intervals_95": _predictive_intervals(drawn, SCREENING_PREVALENCE),
        },
        "intervals_95": {name: bootstrap.interval(values) for name, values in drawn.items()},
    }


def calibration(labels: Labels, scores: Floats, weights: Weights) -> dict[str, Any]:
    """Measure the probabilities: Brier score, calibration error, Cox's calibration line."""
    off = np.asarray((labels - scores) ** 2, dtype=np.float64)
    everyone = np.ones((1, len(labels)))
    slope, intercept = (
        float(value[0]) for value in bootstrap.calibration_line(labels, scores, everyone)
    )
    slopes, intercepts = bootstrap.calibration_line(labels, scores, weights)
    drawn = {
        "brier": bootstrap.mean(off, np.ones(len(off), dtype=np.bool_), weights),
        "ece": _errors(labels, scores, weights),
        "calibration_slope": slopes,
        "calibration_intercept": intercepts,
    }
    return {
        "brier": float(off.mean()),
        "ece": calibration_error(labels, scores),
        "calibration_slope": slope if np.isfinite(slope) else None,
        "calibration_intercept": intercept if np.isfinite(intercept) else None,
        "intervals_95": {name: bootstrap.interval(values) for name, values in drawn.items()},
    }


def roc(labels: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """Compute false and true positive rate over all thresholds."""
    false_positive, true_positive, _ = sk.roc_curve(labels, scores)
    return false_positive, true_positive


def confusion(labels: Labels, called: NDArray[np.bool_]) -> dict[str, int]:
    """Count how many images of each truth were called what."""
    counts = _counts(labels, called, np.ones((1, len(labels))))
    return {name: int(value[0]) for name, value in counts.items()}


def rates(labels: Labels, called: NDArray[np.bool_]) -> dict[str, float | None]:
    """
    Compute accuracy, precision, recall, specificity, F1 and negative predictive value.

    None if it would be a share of none; recall is sensitivity.
    """
    found = _rates(_counts(labels, called, np.ones((1, len(labels)))))
    return {
        name: float(value[0]) if np.isfinite(value[0]) else None for name, value in found.items()
    }


def predictive_values(
    sensitivity: float | None, specificity: float | None, prevalence: float
) -> dict[str, float | None]:
    """
    Compute the predictive values, were so many images malignant (Bayes).

    None if none is called or passed, or a rate is not known.
    """
    if sensitivity is None or specificity is None:
        return {"prevalence": prevalence, "precision": None, "negative_predictive_value": None}
    called, passed = (
        sensitivity * prevalence + (1 - specificity) * (1 - prevalence),
        specificity * (1 - prevalence) + (1 - sensitivity) * prevalence,
    )
    return {
        "prevalence": prevalence,
        "precision": sensitivity * prevalence / called if called else None,
        "negative_predictive_value": specificity * (1 - prevalence) / passed if passed else None,
    }


def _predictive_intervals(
    drawn: Mapping[str, Floats], prevalence: float
) -> dict[str, list[float] | None]:
    """Give the intervals of both predictive values from rates of all draws."""
    sensitivity, specificity = drawn["sensitivity"], drawn["specificity"]
    right, wrong = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
    passed, missed = specificity * (1 - prevalence), (1 - sensitivity) * prevalence
    with np.errstate(invalid="ignore"):
        values = {
            "precision": right / (right + wrong),
            "negative_predictive_value": passed / (passed + missed),
        }
    return {name: bootstrap.interval(value) for name, value in values.items()}


def calibration_error(labels: Labels, scores: Floats) -> float:
    """
    Compute the expected calibration error over 10 equal bins (Naeini et al. 2015).

    It is the mean |share malignant - mean score|, weighted by images.
    """
    return float(_errors(labels, scores, np.ones((1, len(labels))))[0])


def reliability(labels: Labels, scores: Floats) -> list[dict[str, float]]:
    """Describe each of the 10 bins that has images: count, mean score, malignant share."""
    bins = _bins(scores)
    found = [(scores[bins == number], labels[bins == number]) for number in range(ECE_BINS)]
    return [
        {
            "images": len(inside),
            "mean_score": float(inside.mean()),
            "malignant_share": float(truth.mean()),
        }
        for inside, truth in found
        if len(inside)
    ]


def _delong(labels: Labels, scores: Floats) -> list[float] | None:
    """Give DeLong's interval; None if a class has a single image."""
    if min(labels.sum(), len(labels) - labels.sum()) <= 1:
        return None
    low, high = delong.area(labels, scores).interval
    return [max(0.0, low), min(1.0, high)]


def _bins(scores: Floats) -> NDArray[np.int_]:
    return np.asarray(np.minimum((scores * ECE_BINS).astype(int), ECE_BINS - 1))


def _errors(labels: Labels, scores: Floats, weights: Weights) -> Floats:
    inside = np.equal.outer(_bins(scores), np.arange(ECE_BINS))
    gaps = weights @ ((labels - scores)[:, None] * inside)
    return np.asarray(np.abs(gaps).sum(axis=1) / weights.sum(axis=1), dtype=np.float64)


def _counts(labels: Labels, called: NDArray[np.bool_], weights: Weights) -> dict[str, Floats]:
    """Count the weighted confusion in every draw, each of shape (draws,)."""
    truth = labels > 0
    cells = {
        "true_negative": ~truth & ~called,
        "false_positive": ~truth & called,
        "false_negative": truth & ~called,
        "true_positive": truth & called,
    }
    return {name: np.asarray(weights @ cell, dtype=np.float64) for name, cell in cells.items()}


def _rates(counts: Mapping[str, Floats]) -> dict[str, Floats]:
    """Divide; NaN if there is nothing to take a share of."""
    tn, fp, fn, tp = (
        counts[name]
        for name in ("true_negative", "false_positive", "false_negative", "true_positive")
    )
    with np.errstate(invalid="ignore"):
        return {
            "accuracy": (tn + tp) / (tn + fp + fn + tp),
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "sensitivity": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "negative_predictive_value": tn / (tn + fn),
        }
