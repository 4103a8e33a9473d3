"""The curves over all thresholds: ROC, precision and recall, reliability, coverage and risk."""

from pathlib import Path
from typing import Final

import numpy as np

from train.evaluation import baselines
from train.evaluation.plots.style import BENIGN, MALIGNANT, Axes, Numbers, axes_of
from train.scoring.judge import Judged
from train.stats import bootstrap, metrics
from train.wording import with_interval

GRID: Final = np.linspace(0, 1, 101)
"""Shares of false alarms at which the interval of the ROC curve is drawn, shape (101,)."""


def roc_curve(path: Path, judged: Judged, numbers: Numbers) -> None:
    """Draw the ROC curve with its interval, the operating points and the radiologist."""
    labels, scores, test = judged.labels, judged.scores, numbers["test"]
    false_positive, true_positive = metrics.roc(labels, scores)
    with axes_of(path, "ROC curve", numbers) as axes:
        low, high = np.percentile(_roc_draws(judged), (2.5, 97.5), axis=0)
        axes.fill_between(
            GRID, low, high, color=MALIGNANT, alpha=0.2, linewidth=0, label="95 % over patients"
        )
        axes.plot(
            false_positive,
            true_positive,
            color=MALIGNANT,
            label=f"model, AUC {with_interval(test, 'auc')}",
        )
        if numbers["birads"]:
            _radiologist(axes, judged, numbers["birads"])
        axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="chance, 0.5")
        _points(axes, numbers)
        axes.set(
            xlabel="1 - specificity (share of benign films called malignant)",
            ylabel="sensitivity (share of malignant films called so)",
            xlim=(-0.01, 1.01),
            ylim=(-0.01, 1.01),
            aspect="equal",
        )
        axes.legend(loc="lower right", fontsize="small")


def precision_recall(path: Path, judged: Judged, numbers: Numbers) -> None:
    """Draw precision against recall; chance is the share of malignant images."""
    test = numbers["test"]
    order = np.argsort(-judged.scores, kind="stable")
    found = np.cumsum(judged.labels[order])
    with axes_of(path, "Precision and recall", numbers) as axes:
        label = f"model, average precision {with_interval(test, 'average_precision')}"
        axes.plot(
            found / found[-1], found / np.arange(1, len(found) + 1), color=MALIGNANT, label=label
        )
        share = test["malignant"] / test["images"]
        axes.axhline(
            share,
            color="grey",
            linestyle=":",
            label=f"chance, {share:.2f}: the share of malignant films",
        )
        axes.set(
            xlabel="recall (share of malignant films called so)",
            ylabel="precision (share malignant of films called so)",
            xlim=(0, 1),
            ylim=(0, 1.02),
        )
        axes.legend(loc="lower left", fontsize="small")


def reliability(path: Path, numbers: Numbers) -> None:
    """
    Draw the share of malignant images against the mean score of each bin.

    The size of a dot says how many images are in the bin.
    """
    bins, test = numbers["reliability"], numbers["test"]
    with axes_of(path, "Reliability of the probabilities", numbers) as axes:
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
            label=f"films of a tenth of the scale; bar: 95 %; large dot: many films\n"
            f"expected calibration error {with_interval(test, 'ece')}",
        )
        axes.scatter(
            scores,
            shares,
            [8 + 300 * one["images"] / test["images"] for one in bins],
            color=MALIGNANT,
        )
        if test["calibration_slope"] is not None:
            axes.plot(
                [], [], " ", label=f"calibration slope {with_interval(test, 'calibration_slope')}"
            )
        axes.set(
            xlabel="probability of malignancy, mean of the films",
            ylabel="share of these films that are malignant",
            xlim=(0, 1),
            ylim=(-0.02, 1.02),
            aspect="equal",
        )
        axes.figure.legend(loc="outside lower center", fontsize="small")


def coverage_risk(path: Path, numbers: Numbers) -> None:
    """Draw the share of wrong calls among the decided images, as fewer are decided."""
    with axes_of(path, "Coverage and risk: wrong calls among what is decided", numbers) as axes:
        for name, colour in (("validation", BENIGN), ("test", MALIGNANT)):
            if steps := numbers["coverage_risk"][name]:
                label = f"{name} films, indeterminate band of any width"
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
                label="test films, the bundle's own band",
            )
        axes.set(xlabel="share of films decided", ylabel="share of the decided called wrongly")
        axes.set_ylim(
            0, 1.2 * max(step["risk"] for step in numbers["coverage_risk"]["test"]) + 0.01
        )
        axes.legend(fontsize="small")


def _roc_draws(judged: Judged) -> metrics.Floats:
    """
    Give the sensitivity at GRID's shares of false alarms, shape (draws, len(GRID)).

    Each draw is one of patients.
    """
    labels, order = judged.labels, np.argsort(-judged.scores, kind="stable")
    weights = bootstrap.draw(labels, judged.patients, 0)[:, order]
    malignant, benign = (np.cumsum(weights * (labels[order] == label), axis=1) for label in (1, 0))
    pairs = zip(benign / benign[:, -1:], malignant / malignant[:, -1:], strict=True)
    return np.array([np.interp(GRID, across, up) for across, up in pairs])


def _points(axes: Axes, numbers: Numbers) -> None:
    """Mark the operating points; the default is a ring, since another may lie on it."""
    for marker, (name, point) in zip("sD^v<>p", numbers["operating_points"].items(), strict=False):
        default = name == numbers["default_operating_point"]
        axes.plot(
            1 - point["specificity"],
            point["sensitivity"],
            "o" if default else marker,
            color="black",
            markersize=11 if default else 5,
            fillstyle="none" if default else "full",
            label=f"{name}: malignant from {point['threshold']:.3f}",
        )


def _radiologist(axes: Axes, judged: Judged, birads: Numbers) -> None:
    known = np.array([bool(film.birads) for film in judged.films])
    false_positive, true_positive = metrics.roc(
        judged.labels[known], baselines.grades(judged.films)
    )
    label = f"radiologist's BI-RADS, AUC {with_interval(birads['radiologist'], 'auc')}"
    axes.plot(false_positive, true_positive, ".--", color=BENIGN, linewidth=1, label=label)
