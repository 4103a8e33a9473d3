"""Scores of a classifier on patients it was never trained on, with intervals over patients."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

Floats: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.float32]
Patients: TypeAlias = NDArray[np.str_]
Score: TypeAlias = Callable[[Labels, Floats], float]

RESAMPLES: Final = 2000
ECE_BINS: Final = 10
ONE_HALF: Final = 0.5


def measure(labels: Labels, scores: Floats, patients: Patients, threshold: float, seed: int) -> dict[str, Any]:
    """
    All numbers of one set of images.

    Args:
        labels: shape (n,), 1 for malignant.
        scores: shape (n,), probabilities of malignancy.
        patients: shape (n,).
        threshold: a score of at least this is called malignant.
        seed: of the bootstrap.
    """
    called = scores >= threshold
    found = confusion(labels, called)
    ranking: dict[str, Score] = {"auc": auc, "average_precision": average_precision}
    calls: dict[str, Score] = {
        "accuracy": lambda truth, values: float(np.mean((values >= threshold) == (truth > 0))),
        "sensitivity": lambda truth, values: float(np.mean(values[truth > 0] >= threshold)),
        "specificity": lambda truth, values: float(np.mean(values[truth == 0] < threshold)),
    }
    return {
        "images": len(labels),
        "malignant": int(labels.sum()),
        "patients": len(set(patients.tolist())),
        "threshold": threshold,
        **{name: score(labels, scores) for name, score in ranking.items()},
        **rates(labels, called),
        "brier": float(sk.brier_score_loss(labels, scores)),
        "ece": calibration_error(labels, scores),
        "confusion": found,
        "intervals_95": intervals(labels, scores, patients, {**ranking, **calls}, seed),
    }


def auc(labels: Labels, scores: Floats) -> float:
    """Area under the ROC curve: how often a malignant image scores above a benign one."""
    return float(sk.roc_auc_score(labels, scores))


def average_precision(labels: Labels, scores: Floats) -> float:
    """Area under the precision-recall curve; its chance level is the share of malignant images."""
    return float(sk.average_precision_score(labels, scores))


def roc(labels: Labels, scores: Floats) -> tuple[Floats, Floats]:
    """False and true positive rate over all thresholds."""
    false_positive, true_positive, _ = sk.roc_curve(labels, scores)
    return false_positive, true_positive


def confusion(labels: Labels, called: NDArray[np.bool_]) -> dict[str, int]:
    """How many images of each truth were called what."""
    (tn, fp), (fn, tp) = sk.confusion_matrix(labels > 0, called, labels=[False, True]).tolist()
    return {"true_negative": tn, "false_positive": fp, "false_negative": fn, "true_positive": tp}


def rates(labels: Labels, called: NDArray[np.bool_]) -> dict[str, float]:
    """Accuracy, precision, recall (= sensitivity), specificity and F1; 0 where nothing was called or nothing is there."""
    truth = labels > 0
    precision, recall, f1, _ = sk.precision_recall_fscore_support(truth, called, average="binary", zero_division=0)
    return {
        "accuracy": float(sk.accuracy_score(truth, called)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "sensitivity": float(recall),
        "specificity": float(sk.recall_score(~truth, ~called, zero_division=0)),
    }


def calibration_error(labels: Labels, scores: Floats) -> float:
    """Expected calibration error: mean |share malignant - mean score| over 10 equal bins, by images (Naeini et al. 2015)."""
    bins = np.minimum((scores * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = [abs(float(np.sum(labels[bins == number] - scores[bins == number]))) for number in range(ECE_BINS)]
    return sum(gaps) / len(labels)


def intervals(labels: Labels, scores: Floats, patients: Patients, of: Mapping[str, Score], seed: int) -> dict[str, list[float]]:
    """
    95 % percentile intervals of several scores from one bootstrap over patients (Efron 1979).

    Patients are drawn with replacement, each with all of her images: two films of one woman are no two witnesses. A draw
    that lacks a class is drawn again.
    """
    generator = np.random.default_rng(seed)
    names, member = np.unique(patients, return_inverse=True)
    rows = [np.flatnonzero(member == number) for number in range(len(names))]
    drawn: dict[str, list[float]] = {name: [] for name in of}
    while len(next(iter(drawn.values()))) < RESAMPLES:
        chosen = np.concatenate([rows[number] for number in generator.integers(len(rows), size=len(rows))])
        if 0 < labels[chosen].sum() < len(chosen):
            for name, score in of.items():
                drawn[name].append(score(labels[chosen], scores[chosen]))
    return {name: [float(value) for value in np.percentile(values, (2.5, 97.5))] for name, values in drawn.items()}
