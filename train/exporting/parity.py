"""The parity of an exported file with its network, on calibrated answers for the same images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from edge.domain import Domain
from edge.models.manifest import Platt
from train.scoring import calibration
from train.stats import bootstrap, metrics
from train.stats.metrics import Floats, Labels, Patients

AUC_DROP: Final = {"float": 0.005, "int8": 0.03}
"""The largest loss of AUC by the export, by the kind of numbers that the file computes with."""
FLIPS: Final = {"float": 0.02, "int8": 0.1}
"""The largest share of images that change between `benign` and `malignant`, without the band."""
EQUAL_DROP: Final = 0.01
"""The largest loss of AUC of an int8 file that serves in the place of the float one."""
EQUAL_FLIPS: Final = 0.04
"""The largest share of decisions that an int8 default may change."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of one model for some images."""

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
    Compare the file's answers with the network's, each calibrated on its own validation scores.

    Args:
        labels: shape (n,), 1 for malignant.
        patients: shape (n,); the interval of the AUC drop is a paired one over them.
        network: Keras's answers.
        file: the exported file's answers in the daemon's engine.
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
    Say why a file is not shipped; empty if it passes.

    Args:
        found: by `compare`.
        largest_raw_difference: that any raw score may have; None for int8, whose scores move and
            are calibrated anew.
    """
    kind = "int8" if largest_raw_difference is None else "float"
    limits = [
        ("AUC drop", found["auc_drop"], AUC_DROP[kind]),
        ("decision flips", found["decision_flips"], FLIPS[kind]),
    ]
    if largest_raw_difference is not None:
        limits.append(
            ("largest difference from Keras", found["max_raw_difference"], largest_raw_difference)
        )
    return _beyond(limits)


def unequal(found: dict[str, Any], drops: Mapping[Domain, float]) -> tuple[str, ...]:
    """
    Say why an int8 file does not serve in the place of the float one; empty if it may.

    Args:
        found: by `compare`, on validation images.
        drops: the loss of AUC against the float file, by domain.
    """
    return _beyond(
        [
            ("decision flips", found["decision_flips"], EQUAL_FLIPS),
            ("AUC drop", found["auc_drop"], EQUAL_DROP),
            *((f"AUC drop on {domain}", drop, EQUAL_DROP) for domain, drop in drops.items()),
        ]
    )


def _beyond(limits: Sequence[tuple[str, float, float]]) -> tuple[str, ...]:
    """Name the values beyond their limits; a NaN, for which no comparison holds, is one."""
    return tuple(
        f"{what} {value:.4f}, expected at most {limit:g}"
        for what, value, limit in limits
        if not value <= limit
    )
