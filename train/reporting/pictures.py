"""The pictures of a run with their captions, for the report and the model card."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from train.reporting.tables import Numbers

CURVES: Final = {
    "roc.png": "ROC curve: sensitivity against false alarms over all thresholds, with the "
    "operating points, which were fixed on"
    " validation patients (the ring is the default), and the radiologist's own BI-RADS on the same "
    "films.",
    "precision-recall.png": "Precision and recall over all thresholds: how many of the films "
    "called malignant are, against how many of the malignant are found.",
    "reliability.png": "Reliability: what share of the films with about this probability is "
    "malignant."
    " Bars: 95 %, films taken as independent.",
    "scores.png": "Calibrated scores of the test films; better models keep the two colours apart.",
    "confusion.png": "Confusion matrices: how many test films of each truth were called what.",
    "coverage-risk.png": "Coverage and risk: how often the decided films are called wrongly, as "
    "the indeterminate band about the default threshold widens: further left, fewer are decided.",
    "training.png": "Training: loss and AUC after each epoch; the kept epoch is the best on "
    "validation patients.",
}
BY_STEP: Final = (
    "Training: loss by step on pieces cut out of training films, each point the mean since the "
    "last. lesion: does the map show which cells lie in a lesion of any kind (focal cross-entropy, "
    "a lesion)? malignant: does the second map tell malignant lesions from benign ones, and stay "
    "low elsewhere (cross-entropy, a lesion)? piece: is the whole piece malignant, by the highest "
    "cells of that map (cross-entropy, a piece; 0.69 is a coin's)? The three count alike. What was "
    "kept is the moving average of the weights at the end."
)
"""
In place of the caption of training.png, if a map of lesions was trained.

`train.fitting.dense_loss` computes the parts.
"""
SUBGROUPS: Final = {
    "subgroups.png": "Groups: the AUC of each with its interval over patients. The grey band is "
    "that of all test films; red: the interval reaches .5, so the model is not shown to be better "
    "than chance there; hollow: fewer than ten films of a class, which says little."
}


def curves_of(recipe: Numbers) -> Mapping[str, str]:
    """Give the captions of a run's curves, by the names of their files."""
    return CURVES | ({"training.png": BY_STEP} if recipe.get("dense") else {})


def beside(card: Path, evaluation: Path, captions: Mapping[str, str]) -> str:
    """
    Copy pictures into a folder beside the model card, which has its name.

    Args:
        card: the card's path, in a folder that is there.
        evaluation: the folder in which `evaluate` drew them; what is not there is left out.
        captions: by file name.

    Returns:
        The card's section that shows them, in Markdown; empty without a picture.

    Raises:
        OSError: one cannot be copied.
    """
    folder, found = (
        card.with_suffix(""),
        [name for name in captions if (evaluation / name).exists()],
    )
    if not found:
        return ""
    folder.mkdir(exist_ok=True)
    shown = ["\n## Pictures\n"]
    for name in found:
        shutil.copyfile(evaluation / name, folder / name)
        place, (subject, _, _) = f"{folder.name}/{name}", captions[name].partition(":")
        shown.append(f"![{subject}]({place})\n\n*{captions[name]}*\n")
    return "\n".join(shown)
