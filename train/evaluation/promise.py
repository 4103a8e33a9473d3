"""
The default operating point on the patients that chose it, and on others.

A threshold looks best on the patients that chose it. Stone (1974), J. R. Stat. Soc. B 36, 111:
validation patients are held out in fifths, and each fifth is called by a calibration and a
threshold that were fitted on the other four.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.models.manifest import OperatingPoint
from train.scoring import calibration
from train.scoring.judge import Judged
from train.stats import bootstrap, metrics

FOLDS: Final = 5


def rates(
    validation: Judged, test: Judged, point: OperatingPoint, sensitivity: float, seed: int
) -> dict[str, dict[str, Any]]:
    """
    Compute the rates that the default point promises, those to expect, and those found.

    Args:
        validation: films whose patients chose the point.
        test: films of other patients.
        point: the default operating point, as the bundle has it.
        sensitivity: the one it was chosen for.
        seed: of the folds and the bootstrap.

    Returns:
        By `validation`, `validation, held out in fifths` and `test` what `metrics.at_threshold`
        gives. Without the second if a class is missing among the other four fifths.
    """
    found = {"validation": _rates(validation, validation.scores >= point.threshold, seed)}
    held_out = _called(validation, sensitivity, seed)
    if held_out is not None:
        found["validation, held out in fifths"] = _rates(validation, held_out, seed)
    return {**found, "test": _rates(test, test.scores >= point.threshold, seed)}


def _rates(judged: Judged, called: NDArray[np.bool_], seed: int) -> dict[str, Any]:
    weights = bootstrap.draw(judged.labels, judged.patients, seed)
    return metrics.at_threshold(judged.labels, called.astype(np.float64), metrics.ONE_HALF, weights)


def _called(judged: Judged, sensitivity: float, seed: int) -> NDArray[np.bool_] | None:
    """Tell which films are called malignant by a point that other patients chose, shape (n,)."""
    called = np.zeros(len(judged.films), np.bool_)
    for inside in _folds(judged, seed):
        others = ~inside & ~judged.refused
        labels = judged.labels[others]
        if not 0 < labels.sum() < len(labels):
            return None
        platt = calibration.platt(labels, judged.raw[others])
        scores = np.full(len(called), calibration.REFUSED)
        seen = ~judged.refused
        scores[seen] = calibration.calibrated(judged.raw[seen], platt)
        threshold = calibration.operating_point(
            labels, scores[others], sensitivity, 0, ""
        ).threshold
        called[inside] = scores[inside] >= threshold
    return called


def _folds(judged: Judged, seed: int) -> list[NDArray[np.bool_]]:
    """Deal the patients to folds at random, all films of one to the same: masks of shape (n,)."""
    patients = np.unique(judged.patients)
    np.random.default_rng(seed).shuffle(patients)
    return [np.isin(judged.patients, patients[first::FOLDS]) for first in range(FOLDS)]
