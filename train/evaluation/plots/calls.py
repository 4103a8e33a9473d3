"""The pictures of scores and calls: confusion matrices, score histogram, groups."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from train.evaluation import verdict
from train.evaluation.plots.style import (
    BENIGN,
    DPI,
    MALIGNANT,
    Axes,
    Numbers,
    axes_of,
    plt,
    subject,
)
from train.scoring.judge import Judged

ABOVE: Final = BENIGN
"""The colour of a group whose interval lies above chance; red reaches it."""


def confusion_matrices(path: Path, numbers: Numbers) -> None:
    """Draw how many images of each truth were called what, at each operating point."""
    points = numbers["operating_points"]
    figure, places = plt.subplots(
        1, len(points), figsize=(3.1 * len(points), 4.1), layout="constrained", squeeze=False
    )
    of = subject(numbers).replace("\n", "; ")
    figure.suptitle(f"Confusion matrices: number of films by truth and call\n{of}")
    for axes, (name, point) in zip(places[0], points.items(), strict=True):
        _matrix(axes, point["confusion"])
        axes.set_title(f"{name}\nmalignant from {point['threshold']:.3f}", fontsize="medium")
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def score_histogram(path: Path, judged: Judged, numbers: Numbers) -> None:
    """Draw the calibrated scores of both classes, with the default threshold and its band."""
    point = numbers["operating_points"][numbers["default_operating_point"]]
    with axes_of(path, "Calibrated scores of benign and malignant films", numbers) as axes:
        groups = [judged.scores[judged.labels == 0], judged.scores[judged.labels > 0]]
        axes.hist(
            groups, bins=20, range=(0, 1), color=[BENIGN, MALIGNANT], label=["benign", "malignant"]
        )
        axes.axvline(
            point["threshold"],
            color="black",
            linestyle="--",
            label=f"{numbers['default_operating_point']}: malignant from {point['threshold']:.3f}",
        )
        axes.axvspan(
            point["band_low"],
            point["band_high"],
            color="grey",
            alpha=0.25,
            label="called indeterminate",
        )
        axes.set(xlabel="probability of malignancy", ylabel="number of films", xlim=(0, 1))
        axes.legend(fontsize="small")


def subgroups(path: Path, numbers: Numbers) -> None:
    """Draw the AUC of each group with its interval, beside that of all images."""
    lines = sum(1 + len(table) for table in numbers["subgroups"].values())
    figure, axes = plt.subplots(figsize=(7.5, 2.3 + 0.28 * lines), layout="constrained")
    place, labels, ticks = 0.0, [], []
    for name, table in numbers["subgroups"].items():
        labels.append(name)
        ticks.append(place)
        for row in table:
            place += 1
            labels.append(f"{row['group']}  (n = {row['images']}, {row['malignant']} malignant)")
            ticks.append(place)
            _bar(axes, place, row)
        place += 1.3
    low, high = numbers["test"]["intervals_95"]["auc"]
    axes.axvspan(low, high, color="grey", alpha=0.15, linewidth=0)
    axes.axvline(numbers["test"]["auc"], color="grey", label="all test films, with interval")
    axes.axvline(0.5, color="black", linestyle=":", label="chance, 0.5")
    for colour, style, fill, said in (
        (ABOVE, "o-", ABOVE, "a group, 95 % over patients"),
        (MALIGNANT, "o-", MALIGNANT, "a group whose interval reaches chance"),
        ("grey", "o:", "white", f"fewer than {verdict.FEWEST} films of a class"),
    ):
        axes.plot([], [], style, color=colour, markerfacecolor=fill, label=said)
    axes.set_yticks(ticks, labels)
    for label, text in zip(axes.get_yticklabels(), labels, strict=True):
        label.set_fontweight("bold" if text in numbers["subgroups"] else "normal")
    axes.set(xlabel="AUC (area under the ROC curve)", ylim=(place, -1))
    figure.suptitle(f"AUC of each group of films\n{subject(numbers)}", fontsize="medium")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small")
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def _bar(axes: Axes, place: float, row: Numbers) -> None:
    if row["auc"] is None:
        axes.text(0.5, place, " one class only", va="center", fontsize="small", color="grey")
        return
    interval, small = row["intervals_95"]["auc"], verdict.few(row)
    colour = MALIGNANT if verdict.mark(row) else ABOVE
    if interval:
        axes.plot(
            interval,
            [place, place],
            color=colour,
            linewidth=1.5,
            linestyle=":" if small else "-",
        )
    axes.plot(
        row["auc"],
        place,
        "o",
        color=colour,
        markersize=5,
        markerfacecolor="white" if small else colour,
    )


def _matrix(axes: Axes, counts: Mapping[str, int]) -> None:
    table = np.array(
        [
            [counts["true_negative"], counts["false_positive"]],
            [counts["false_negative"], counts["true_positive"]],
        ]
    )
    axes.imshow(table, cmap="Blues", vmin=0, vmax=max(1, table.max()))
    for (row, column), count in np.ndenumerate(table):
        axes.text(
            column,
            row,
            str(count),
            ha="center",
            va="center",
            fontsize=16,
            color="white" if count > table.max() / 2 else "black",
        )
    names = ["benign", "malignant"]
    axes.set(xticks=[0, 1], yticks=[0, 1], xticklabels=names, xlabel="called", ylabel="is")
    axes.set_yticklabels(names, rotation=90, va="center")
