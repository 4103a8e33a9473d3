"""The pictures of an evaluation."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from train import metrics

BENIGN: Final = "#3b6ea5"
MALIGNANT: Final = "#c44e52"
DPI: Final = 110


def roc_curve(path: Path, labels: metrics.Labels, scores: metrics.Floats, numbers: Mapping[str, Any]) -> None:
    """True against false positive rate, with the operating point and the area's interval."""
    false_positive, true_positive = metrics.roc(labels, scores)
    low, high = numbers["intervals_95"]["auc"]
    with _axes(path, "ROC curve, test patients") as axes:
        axes.plot(false_positive, true_positive, color=MALIGNANT, label=f"AUC {numbers['auc']:.3f} ({low:.3f} to {high:.3f})")
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance")
        axes.plot(1 - numbers["specificity"], numbers["sensitivity"], "o", color="black", label="operating point")
        axes.set(xlabel="1 - specificity", ylabel="sensitivity", xlim=(0, 1), ylim=(0, 1.01), aspect="equal")
        axes.legend(loc="lower right")


def confusion_matrix(path: Path, numbers: Mapping[str, Any]) -> None:
    """How many images of each truth were called what, at the operating point and at one half."""
    figure, both = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
    cuts = (
        ("operating point", numbers["threshold"], numbers["confusion"]),
        ("one half", metrics.ONE_HALF, numbers["at_one_half"]["confusion"]),
    )
    for axes, (name, threshold, counts) in zip(both, cuts, strict=True):
        _matrix(axes, counts)
        axes.set_title(f"{name}: malignant from {threshold:.2f}")
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def score_histogram(path: Path, labels: metrics.Labels, scores: metrics.Floats, threshold: float) -> None:
    """Calibrated scores of benign and malignant images."""
    with _axes(path, "Calibrated scores, test patients") as axes:
        groups = [scores[labels == 0], scores[labels > 0]]
        axes.hist(groups, bins=20, range=(0, 1), color=[BENIGN, MALIGNANT], label=["benign", "malignant"])
        axes.axvline(threshold, color="black", linestyle="--", label=f"threshold {threshold:.2f}")
        axes.set(xlabel="probability of malignancy", ylabel="images", xlim=(0, 1))
        axes.legend()


def training_curves(path: Path, history: Mapping[str, Any]) -> None:
    """Loss and AUC of training and validation after each epoch."""
    epochs = history["epochs"]
    numbers = [epoch["epoch"] for epoch in epochs]
    figure, both = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for axes, name in zip(both, ("loss", "auc"), strict=True):
        axes.plot(numbers, [epoch[name] for epoch in epochs], color=BENIGN, label="train (augmented)")
        axes.plot(numbers, [epoch[f"val_{name}"] for epoch in epochs], color=MALIGNANT, label="validation")
        axes.axvline(history["best_epoch"], color="black", linestyle="--", label=f"kept: epoch {history['best_epoch']}")
        for start in _phase_starts(epochs):
            axes.axvline(start - 0.5, color="grey", linestyle=":")
        axes.set(xlabel="epoch", ylabel=name.upper() if name == "auc" else name)
        axes.legend()
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def _matrix(axes: Axes, counts: Mapping[str, int]) -> None:
    table = np.array([[counts["true_negative"], counts["false_positive"]], [counts["false_negative"], counts["true_positive"]]])
    axes.imshow(table, cmap="Blues", vmin=0, vmax=max(1, table.max()))
    for (row, column), count in np.ndenumerate(table):
        axes.text(column, row, str(count), ha="center", va="center", fontsize=16, color="white" if count > table.max() / 2 else "black")
    names = ["benign", "malignant"]
    axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=names, yticklabels=names, xlabel="called", ylabel="is")


def _phase_starts(epochs: list[dict[str, Any]]) -> list[int]:
    return [after["epoch"] for before, after in pairwise(epochs) if before["phase"] != after["phase"]]


@contextmanager
def _axes(path: Path, title: str) -> Iterator[Axes]:
    figure, axes = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
    axes.set_title(title)
    yield axes
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
