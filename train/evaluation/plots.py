"""The curves of an evaluation, one picture each."""

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

from train.evaluation import baselines
from train.scoring.judge import Judged
from train.stats import bootstrap, metrics

BENIGN: Final = "#3b6ea5"
MALIGNANT: Final = "#c44e52"
DPI: Final = 110
GRID: Final = np.linspace(0, 1, 101)
SMALL: Final = 10
"""A group with fewer films of a class is drawn hollow: its interval means little."""

Numbers = Mapping[str, Any]


def roc_curve(path: Path, judged: Judged, numbers: Numbers) -> None:
    """
    True against false positive rate with its interval at each place, the operating points, and the
    radiologist on the same films.
    """
    labels, scores, test = judged.labels, judged.scores, numbers["test"]
    false_positive, true_positive = metrics.roc(labels, scores)
    with _axes(path, "ROC curve, test patients") as axes:
        low, high = np.percentile(_roc_draws(judged), (2.5, 97.5), axis=0)
        axes.fill_between(
            GRID, low, high, color=MALIGNANT, alpha=0.2, linewidth=0, label="95 % over patients"
        )
        axes.plot(
            false_positive,
            true_positive,
            color=MALIGNANT,
            label=f"model, AUC {_with_interval(test, 'auc')}",
        )
        if numbers["birads"]:
            _radiologist(axes, judged, numbers["birads"])
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance, 0.5")
        for marker, (name, point) in zip(
            "osD^v<>", numbers["operating_points"].items(), strict=False
        ):
            axes.plot(
                1 - point["specificity"],
                point["sensitivity"],
                marker,
                color="black",
                markersize=5,
                label=name,
            )
        axes.set(
            xlabel="1 - specificity",
            ylabel="sensitivity",
            xlim=(-0.01, 1.01),
            ylim=(-0.01, 1.01),
            aspect="equal",
        )
        axes.legend(loc="lower right", fontsize="small")


def precision_recall(path: Path, judged: Judged, numbers: Numbers) -> None:
    """Precision against recall; chance is the share of malignant images."""
    test = numbers["test"]
    order = np.argsort(-judged.scores, kind="stable")
    found = np.cumsum(judged.labels[order])
    with _axes(path, "Precision and recall, test patients") as axes:
        label = f"model, average precision {_with_interval(test, 'average_precision')}"
        axes.plot(
            found / found[-1], found / np.arange(1, len(found) + 1), color=MALIGNANT, label=label
        )
        share = test["malignant"] / test["images"]
        axes.axhline(share, color="grey", linestyle=":", label=f"chance, {share:.2f}")
        axes.set(xlabel="recall (sensitivity)", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
        axes.legend(loc="lower left", fontsize="small")


def reliability(path: Path, numbers: Numbers) -> None:
    """
    Share of malignant images against the mean score of each bin; the size of a dot says how many
    images are in it.
    """
    bins, test = numbers["reliability"], numbers["test"]
    with _axes(path, "Reliability, test patients") as axes:
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="right probabilities")
        scores, shares = ([one[name] for one in bins] for name in ("mean_score", "malignant_share"))
        error = [
            1.96 * np.sqrt(share * (1 - share) / one["images"])
            for share, one in zip(shares, bins, strict=True)
        ]
        axes.errorbar(
            scores,
            shares,
            error,
            color=MALIGNANT,
            linewidth=1,
            capsize=2,
            label=f"ECE {_with_interval(test, 'ece')}",
        )
        axes.scatter(
            scores,
            shares,
            [8 + 300 * one["images"] / test["images"] for one in bins],
            color=MALIGNANT,
        )
        if test["calibration_slope"] is not None:
            axes.plot([], [], " ", label=f"slope {_with_interval(test, 'calibration_slope')}")
        axes.set(
            xlabel="probability said",
            ylabel="share malignant",
            xlim=(0, 1),
            ylim=(-0.02, 1.02),
            aspect="equal",
        )
        axes.legend(loc="upper left", fontsize="small")


def confusion_matrices(path: Path, numbers: Numbers) -> None:
    """How many images of each truth were called what at each operating point."""
    points = numbers["operating_points"]
    figure, places = plt.subplots(
        1, len(points), figsize=(3.1 * len(points), 3.4), layout="constrained", squeeze=False
    )
    for axes, (name, point) in zip(places[0], points.items(), strict=True):
        _matrix(axes, point["confusion"])
        axes.set_title(f"{name}\nmalignant from {point['threshold']:.3f}", fontsize="medium")
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def score_histogram(path: Path, judged: Judged, numbers: Numbers) -> None:
    """Calibrated scores of benign and malignant images, with the default threshold and its band."""
    point = numbers["operating_points"][numbers["default_operating_point"]]
    with _axes(path, "Calibrated scores, test patients") as axes:
        groups = [judged.scores[judged.labels == 0], judged.scores[judged.labels > 0]]
        axes.hist(
            groups, bins=20, range=(0, 1), color=[BENIGN, MALIGNANT], label=["benign", "malignant"]
        )
        axes.axvline(
            point["threshold"],
            color="black",
            linestyle="--",
            label=f"threshold {point['threshold']:.3f}",
        )
        axes.axvspan(
            point["band_low"], point["band_high"], color="grey", alpha=0.25, label="indeterminate"
        )
        axes.set(xlabel="probability of malignancy", ylabel="images", xlim=(0, 1))
        axes.legend(fontsize="small")


def coverage_risk(path: Path, numbers: Numbers) -> None:
    """Share of wrong calls among the decided images, as fewer are decided."""
    with _axes(path, "Coverage and risk") as axes:
        for name, colour in (("validation", BENIGN), ("test", MALIGNANT)):
            if steps := numbers["coverage_risk"][name]:
                label = f"{name}, band around the default threshold"
                axes.plot(
                    [step["coverage"] for step in steps],
                    [step["risk"] for step in steps],
                    ".-",
                    color=colour,
                    label=label,
                )
        decision = numbers["decision"]
        if "accuracy" in decision:
            axes.plot(
                decision["share"],
                1 - decision["accuracy"],
                "D",
                color="black",
                label="test, the bundle's own band",
            )
        axes.axvline(0.8, color="grey", linestyle=":")
        axes.set(xlabel="share of images decided", ylabel="share of the decided called wrongly")
        axes.set_ylim(
            0, 1.2 * max(step["risk"] for step in numbers["coverage_risk"]["test"]) + 0.01
        )
        axes.legend(fontsize="small")


def subgroups(path: Path, numbers: Numbers) -> None:
    """AUC of each group with its interval, beside that of all images."""
    lines = sum(1 + len(table) for table in numbers["subgroups"].values())
    figure, axes = plt.subplots(figsize=(7.5, 1.5 + 0.28 * lines), layout="constrained")
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
    axes.axvline(numbers["test"]["auc"], color="grey", label="all test images, with interval")
    axes.axvline(0.5, color="grey", linestyle=":")
    axes.set_yticks(ticks, labels)
    for label, text in zip(axes.get_yticklabels(), labels, strict=True):
        label.set_fontweight("bold" if text in numbers["subgroups"] else "normal")
    axes.set(xlabel="AUC", ylim=(place, -1), title="AUC of each group, test patients")
    figure.savefig(path, dpi=DPI)
    plt.close(figure)


def training_curves(path: Path, history: Numbers) -> None:
    """Loss and AUC of training and validation after each epoch."""
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


def _roc_draws(judged: Judged) -> metrics.Floats:
    """
    Sensitivity at GRID's shares of false alarms in every draw of patients, shape (draws,
    len(GRID)).
    """
    labels, order = judged.labels, np.argsort(-judged.scores, kind="stable")
    weights = bootstrap.draw(labels, judged.patients, 0)[:, order]
    malignant, benign = (np.cumsum(weights * (labels[order] == label), axis=1) for label in (1, 0))
    pairs = zip(benign / benign[:, -1:], malignant / malignant[:, -1:], strict=True)
    return np.array([np.interp(GRID, across, up) for across, up in pairs])


def _radiologist(axes: Axes, judged: Judged, birads: Numbers) -> None:
    known = np.array([bool(film.birads) for film in judged.films])
    false_positive, true_positive = metrics.roc(
        judged.labels[known], baselines.grades(judged.films)
    )
    label = f"radiologist's BI-RADS, AUC {_with_interval(birads['radiologist'], 'auc')}"
    axes.plot(false_positive, true_positive, ".--", color=BENIGN, linewidth=1, label=label)


def _bar(axes: Axes, place: float, row: Numbers) -> None:
    if row["auc"] is None:
        axes.text(0.5, place, " one class only", va="center", fontsize="small", color="grey")
        return
    interval, small = (
        row["intervals_95"]["auc"],
        min(row["malignant"], row["images"] - row["malignant"]) < SMALL,
    )
    if interval:
        axes.plot(
            interval,
            [place, place],
            color=MALIGNANT,
            linewidth=1.5,
            linestyle=":" if small else "-",
        )
    axes.plot(
        row["auc"],
        place,
        "o",
        color=MALIGNANT,
        markersize=5,
        markerfacecolor="white" if small else MALIGNANT,
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


def _with_interval(numbers: Numbers, name: str) -> str:
    interval = numbers["intervals_95"].get(name)
    return f"{numbers[name]:.3f}" + (
        f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    )


def _phase_starts(epochs: list[dict[str, Any]]) -> list[int]:
    return [
        after["epoch"] for before, after in pairwise(epochs) if before["phase"] != after["phase"]
    ]


@contextmanager
def _axes(path: Path, title: str) -> Iterator[Axes]:
    figure, axes = plt.subplots(figsize=(5.8, 4.8), layout="constrained")
    axes.set_title(title)
    yield axes
    figure.savefig(path, dpi=DPI)
    plt.close(figure)
