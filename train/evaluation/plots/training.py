"""The course of a training, epoch by epoch or step by step."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from train.evaluation.plots.style import BENIGN, DPI, MALIGNANT, Axes, Numbers, plt

PARTS: Final = {"lesion": "#4c9f70", "malignant": MALIGNANT, "piece": BENIGN}
"""The parts of the loss of a dense training, with their colours."""


def training_curves(path: Path, history: Numbers) -> None:
    """Draw the course of a training: by epoch, or by step if a map of lesions was trained."""
    figure, both = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    if "lesion" in history["epochs"][0]:
        _by_step(both, history["epochs"])
    else:
        _by_epoch(both, history)
    for axes in both:
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize="small")
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def _by_step(both: Sequence[Axes], epochs: Sequence[Numbers]) -> None:
    """Draw the loss as a whole, and its parts; there is no validation and no epoch to choose."""
    steps = [epoch["epoch"] for epoch in epochs]
    whole, parts = both
    whole.plot(steps, [epoch["loss"] for epoch in epochs], color="black", label="all of it")
    for name, colour in PARTS.items():
        parts.plot(steps, [epoch[name] for epoch in epochs], color=colour, label=name)
    for axes in both:
        axes.set(xlabel="step", ylabel="loss, training pieces")
        axes.set_ylim(bottom=0)


def _by_epoch(both: Sequence[Axes], history: Numbers) -> None:
    """Draw loss and AUC of training and validation after each epoch."""
    epochs = history["epochs"]
    numbers = [epoch["epoch"] for epoch in epochs]
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
        axes.set(xlabel="epoch", ylabel=name.upper() if name == "auc" else name)


def _phase_starts(epochs: Sequence[Numbers]) -> list[int]:
    return [
        after["epoch"] for before, after in pairwise(epochs) if before["phase"] != after["phase"]
    ]
