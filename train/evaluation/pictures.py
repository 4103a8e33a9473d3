"""Every picture of an evaluation but the training curves."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.domain import InputSpec
from train.evaluation import gallery, plots
from train.scoring.judge import Judged
from train.scoring.score import Scored


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
    plots.roc_curve(folder / "roc.png", judged, numbers)
    plots.precision_recall(folder / "precision-recall.png", judged, numbers)
    plots.reliability(folder / "reliability.png", numbers)
    plots.score_histogram(folder / "scores.png", judged, numbers)
    plots.confusion_matrices(folder / "confusion.png", numbers)
    plots.coverage_risk(folder / "coverage-risk.png", numbers)
    plots.subgroups(folder / "subgroups.png", numbers)
    gallery.draw(folder, judged, scored, spec)
