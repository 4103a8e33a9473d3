"""
May an exported file stand in for the network it came from? Measured on calibrated answers for the
same images.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge.models.manifest import Platt
from train.scoring import calibration
from train.stats import bootstrap, metrics
from train.stats.metrics import Floats, Labels, Patients

AUC_DROP: Final = 0.005
"""The exported file's AUC may be lower by this much."""
FLIPS: Final = 0.02
"""Share of the images that may change between `benign` and `malignant`, the band left aside."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What one model says of some images."""

    scores: Floats
    """Calibrated on this model's own raw scores, shape (n,)."""
    raw: Floats


def answers(raw: Floats, platt: Platt) -> Answers:
    """Calibrate raw scores, shape (n,)."""
    return Answers(calibration.calibrated(raw, platt), raw)


def compare(  # noqa: PLR0913, PLR0917 - two models and what they are compared on
    labels: Labels, patients: Patients, network: Answers, file: Answers, threshold: float, seed: int
) -> dict[str, Any]:
    """
    How far the file's answers are from the network's, each calibrated on its own validation scores.

    Args:
        labels: shape (n,), 1 for malignant.
        patients: shape (n,); the interval of the AUC drop is a paired one over them.
        network: what Keras says.
        file: what the exported file says in the daemon's engine.
        threshold: the network's default one, at which both are cut: two fitted ones would differ by
            which images they lie between.
        seed: of the bootstrap.
    """
    weights = bootstrap.draw(labels, patients, seed)
    drops = bootstrap.auc(labels, network.scores, weights) - bootstrap.auc(
        labels, file.scores, weights
    )
    difference = np.abs(file.scores - network.scores)
    flipped = (file.scores >= threshold) != (network.scores >= threshold)
    return {
        "images": len(labels),
        "auc": metrics.auc(labels, file.scores),
        "auc_drop": metrics.auc(labels, network.scores) - metrics.auc(labels, file.scores),
        "auc_drop_interval_95": bootstrap.interval(drops),
        "decision_flips": float(flipped.mean()),
        "mean_difference": float(difference.mean()),
        "max_difference": float(difference.max()),
        "mean_raw_difference": float(np.abs(file.raw - network.raw).mean()),
        "max_raw_difference": float(np.abs(file.raw - network.raw).max()),
    }


def failures(found: dict[str, Any], largest_raw_difference: float | None) -> tuple[str, ...]:
    """
    Why a file is not shipped; empty where it passes.

    Args:
        found: by `compare`.
        largest_raw_difference: that any raw score may have; None for int8, whose scores move and
            are calibrated anew.
    """
    limits = [
        ("AUC drop", found["auc_drop"], AUC_DROP),
        ("decision flips", found["decision_flips"], FLIPS),
    ]
    if largest_raw_difference is not None:
        limits.append(
            ("largest difference from Keras", found["max_raw_difference"], largest_raw_difference)
        )
    # Written so that a NaN, for which no comparison holds, fails too.
    return tuple(
        f"{what} {value:.4f}, expected at most {limit:g}"
        for what, value, limit in limits
        if not value <= limit
    )
