"""The course of a training, epoch by epoch or step by step."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np

from train.evaluation.plots.style import BENIGN, DPI, MALIGNANT, Axes, Numbers, plt

PARTS: Final = {
    "lesion": ("#4c9f70", "lesion: which cells show any lesion"),
    "malignant": (MALIGNANT, "malignant: which cells show a malignant one"),
    "piece": (BENIGN, "piece: is the whole piece malignant"),
}
"""The parts of the loss of a dense training, with their colours and what each is of."""


def training_curves(path: Path, history: Numbers, notes: Numbers) -> None:
    """
    Draw the course of a training: by epoch, or by step if a map of lesions was trained.

    Args:
        path: of the picture.
        history: of `history.json`.
        notes: of `run.json`, for the title.
    """
    figure, both = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
    figure.suptitle(f"Training of the recipe {notes['recipe']['name']}\n{_subject(notes)}")
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
    """
    Draw the loss as a whole, and its parts; there is no validation and no epoch to choose.

    Each value is the mean over the steps since the last.
    """
    steps = [epoch["epoch"] for epoch in epochs]
    whole, parts = both
    whole.plot(
        steps, [epoch["loss"] for epoch in epochs], color="black", label="sum of the three parts"
    )
    for name, (colour, label) in PARTS.items():
        parts.plot(steps, [epoch[name] for epoch in epochs], color=colour, label=label)
    for axes in both:
        axes.set(xlabel="step (one batch of pieces)", ylabel="mean loss on training pieces, nats")
    whole.set_title("The whole loss", fontsize="medium")
    parts.set_title("Its parts", fontsize="medium")
    for axes in both:
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
        axes.set(xlabel="epoch", ylabel="AUC" if name == "auc" else "loss (cross-entropy), nats")


def _subject(notes: Numbers) -> str:
    side, dense = notes["split"]["train"], notes["recipe"].get("dense")
    films = f"{side['images']} training films of {side['patients']} patients"
    if not dense:
        return films
    return (
        f"{dense['steps']} steps of {notes['recipe']['batch_size']} pieces, "
        f"{dense['height']} x {dense['width']} pixels, cut out of {films}"
    )


def _phase_starts(epochs: Sequence[Numbers]) -> list[int]:
    return [
        after["epoch"] for before, after in pairwise(epochs) if before["phase"] != after["phase"]
    ]
