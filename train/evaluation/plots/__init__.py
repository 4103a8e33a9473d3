"""The pictures of an evaluation: curves, calls, groups, and a gallery of films."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.domain import InputSpec
from train.evaluation.plots import calls, curves, gallery
from train.evaluation.plots.training import training_curves
from train.scoring.judge import Judged
from train.scoring.score import Scored

__all__ = ["draw", "training_curves"]


def draw(
    folder: Path, numbers: Mapping[str, Any], judged: Judged, scored: Scored, spec: InputSpec
) -> None:
    """
    Draw every picture but the training curves into a folder.

    Args:
        folder: exists.
        numbers: of `metrics.json`.
        judged: all test films.
        scored: those that could be decoded, with their maps.
        spec: the model's input.
    """
    curves.roc_curve(folder / "roc.png", judged, numbers)
    curves.precision_recall(folder / "precision-recall.png", judged, numbers)
    curves.reliability(folder / "reliability.png", numbers)
    calls.score_histogram(folder / "scores.png", judged, numbers)
    calls.confusion_matrices(folder / "confusion.png", numbers)
    curves.coverage_risk(folder / "coverage-risk.png", numbers)
    calls.subgroups(folder / "subgroups.png", numbers)
    gallery.draw(folder, judged, scored, spec)
