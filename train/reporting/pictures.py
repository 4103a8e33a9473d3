"""The pictures of a run with their captions, for the report and the model card."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from train.reporting.tables import Numbers

CURVES: Final = {
    "roc.png": "ROC curve: sensitivity against false alarms over all thresholds, with the "
    "operating points, which were fixed on"
    " validation patients, and the radiologist's own BI-RADS on the same films.",
    "precision-recall.png": "Precision and recall over all thresholds.",
    "reliability.png": "Reliability: what share of the films with about this probability is "
    "malignant."
    " Bars: 95 %, films taken as independent.",
    "scores.png": "Calibrated scores of the test films; better models keep the two colours apart.",
    "confusion.png": "Confusion matrices: how many test films of each truth were called what.",
    "coverage-risk.png": "Coverage and risk: how often the decided films are called wrongly, as "
    "the indeterminate band widens.",
    "training.png": "Training: loss and AUC after each epoch; the kept epoch is the best on "
    "validation patients.",
}
BY_STEP: Final = (
    "Training: loss by step, as a whole and by its parts; what was kept is the moving average of "
    "the weights at its end."
)
"""In place of the caption of training.png, if a map of lesions was trained."""
SUBGROUPS: Final = {
    "subgroups.png": "AUC of each group with its interval over patients. The grey band is that of "
    "all test films; hollow: fewer than ten films of a class, which says little."
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
