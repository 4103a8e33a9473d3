"""The course of a training, epoch by epoch."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from train.evaluation.plots.style import BENIGN, DPI, MALIGNANT, Numbers, plt


def training_curves(path: Path, history: Numbers) -> None:
    """Draw loss and AUC of training and validation after each epoch."""
    epochs = history["epochs"]
    numbers = [epoch["epoch"] for epoch in epochs]
    figure, both = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for axes, name in zip(both, ("loss", "auc"), strict=True):
        for key, colour, label in (
            (name, BENIGN, "train (augmented)"),
            (f"val_{name}", MALIGNANT, "validation"),
        ):
            axes.plot(
                numbers, [epoch.get(key, np.nan) for epoch in epochs], color=colour, label=label
            )
        axes.axvline(
            history["best_epoch"],
            color="black",
            linestyle="--",
            label=f"kept: epoch {history['best_epoch']}",
        )
        for start in _phase_starts(epochs):
            axes.axvline(start - 0.5, color="grey", linestyle=":")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(xlabel="epoch", ylabel=name.upper() if name == "auc" else name)
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def _phase_starts(epochs: list[dict[str, Any]]) -> list[int]:
    return [
        after["epoch"] for before, after in pairwise(epochs) if before["phase"] != after["phase"]
    ]
