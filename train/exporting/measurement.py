"""The figures of an exported file: its scores on one side of the split, and its cost."""

import sys
from pathlib import Path
from typing import Any

from edge.models.manifest import ModelFile
from train.exporting import cost
from train.exporting.reference import Reference
from train.scoring import calibration
from train.scoring.gate import Refused
from train.scoring.score import Scored
from train.stats import metrics


def scores(scored: Scored, model: ModelFile, shut: Refused, seed: int) -> dict[str, Any]:
    """
    Measure the calibrated scores of some films, a refused film counting as one half.

    Args:
        scored: the films with the file's raw scores.
        model: calibration and operating points.
        shut: films that the gate refuses, shape (n,).
        seed: of the bootstrap.

    Returns:
        The scores of `metrics.measure`; `refused`, a count; `decided`: the share of films that the
        daemon calls benign or malignant, and the rates among them.
    """
    films, point = scored.films, model.operating_points[calibration.DEFAULT]
    values = calibration.with_refused(calibration.calibrated(scored.raw, model.calibration), shut)
    decided = calibration.decided(values, point) & ~shut
    called = (
        metrics.rates(films.labels[decided], values[decided] >= point.threshold)
        if decided.any()
        else {}
    )
    return {
        **metrics.measure(films.labels, values, films.patients, point.threshold, seed),
        "refused": int(shut.sum()),
        "decided": {"share": float(decided.mean()), **called},
    }


def costs(reference: Reference, path: Path) -> dict[str, Any]:
    """Measure time and memory by runtime, each in a fresh process."""
    found = {"litert": cost.measure(Path(sys.executable), path, reference.shapes, "litert")}
    if reference.tflite_runtime is not None:
        found["tflite-runtime"] = cost.measure(
            reference.tflite_runtime, path, reference.shapes, "tflite-runtime"
        )
    return found
