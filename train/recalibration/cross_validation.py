"""
The worth of a calibration on patients it was not fitted on.

Cross-validation never divides a woman's images.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import StratifiedGroupKFold

from edge.errors import ModelError
from edge.models.calibration import TINY
from edge.models.manifest import Manifest, OperatingPoint, Platt
from train.scoring import calibration
from train.stats import metrics
from train.stats.metrics import Floats, Labels, Patients

Folds: TypeAlias = NDArray[np.int_]
"""The fold in which each image is left out, shape (n,)."""
Answers: TypeAlias = tuple[Floats, dict[str, NDArray[np.bool_]], NDArray[np.bool_]]
"""The scores, the calls by operating point, and what the default decides; each of shape (n,)."""

COUNT: Final = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """The rule by which the default operating point is chosen."""

    sensitivity: float = calibration.FIXED_SENSITIVITY
    undecided: float = 0.15
    """The share of the images that the bands leave undecided."""


def rule_of(manifest: Manifest) -> Rule:
    """
    Give the rule of the recipe which the bundle came from.

    Sensitivity 0.90 and 15 % undecided if its manifest does not say.

    Raises:
        ModelError: the manifest holds no such rule.
    """
    said = manifest.training.get("operating_point")
    try:
        return Rule() if said is None else TypeAdapter(Rule).validate_python(said)
    except ValidationError:
        msg = (
            f"bundle.json: training.operating_point is {said!r}, expected sensitivity and undecided"
        )
        raise ModelError(msg) from None


def folds(labels: Labels, patients: Patients) -> Folds:
    """Assign folds: about as many malignant images in each, all of a woman's in one."""
    number = np.zeros(len(labels), dtype=np.int_)
    splitter = StratifiedGroupKFold(COUNT, shuffle=True, random_state=0)
    for fold, (_, left_out) in enumerate(splitter.split(labels, labels > 0, patients)):
        number[left_out] = fold
    return number


def cross_fitted(labels: Labels, raw: Floats, fold: Folds, rule: Rule) -> Answers:
    """Answer each image by calibration and thresholds fitted on the other folds."""
    scores, decided = np.zeros(len(raw)), np.zeros(len(raw), np.bool_)
    called: dict[str, NDArray[np.bool_]] = {}
    for number in range(COUNT):
        out = fold == number
        platt = calibration.platt(labels[~out], raw[~out])
        learnt = calibration.calibrated(raw[~out], platt)
        points = calibration.operating_points(
            labels[~out], learnt, rule.sensitivity, rule.undecided, ""
        )
        scores[out] = calibration.calibrated(raw[out], platt)
        decided[out] = calibration.decided(scores[out], points[calibration.DEFAULT])
        for name, point in points.items():
            called.setdefault(name, np.zeros(len(raw), np.bool_))[out] = (
                scores[out] >= point.threshold
            )
    return scores, called, decided


def answered(raw: Floats, platt: Platt, points: dict[str, OperatingPoint], default: str) -> Answers:
    """Answer all images by one calibration."""
    scores = calibration.calibrated(raw, platt)
    called = {name: scores >= point.threshold for name, point in points.items()}
    return scores, called, calibration.decided(scores, points[default])


def measure(labels: Labels, answers: Answers, shut: NDArray[np.bool_]) -> dict[str, Any]:
    """
    Measure how true the probabilities are and what the thresholds do.

    A refused mammogram counts as one half.
    """
    scores = calibration.with_refused(answers[0], shut)
    half = calibration.REFUSED
    return {
        "auc": metrics.auc(labels, scores),
        "ece": metrics.calibration_error(labels, scores),
        "brier": float(brier_score_loss(labels, scores)),
        "log_loss": float(log_loss(labels, np.clip(scores, TINY, 1 - TINY))),
        "mean_score": float(scores.mean()),
        "decided": float((answers[2] & ~shut).mean()),
        "points": {
            name: metrics.rates(labels, np.where(shut, scores > half, called))
            for name, called in answers[1].items()
        },
        "reliability": metrics.reliability(labels, scores),
    }
