"""The same scores, group by group: a model that only learnt the scanner shows it here."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from train.data.index import Film
from train.scoring.judge import Judged
from train.stats import bootstrap, metrics

LESION_TYPE: Final = "lesion type"
DOMAIN: Final = "film or digital"
DATA_SET: Final = "data set"
BRIGHTNESS: Final = ("dark", "medium", "bright")
"""Thirds of the training films by the width of their window over the full range of the file."""


def tables(
    judged: Judged, groupings: dict[str, Sequence[str | None]], threshold: float, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """
    Score every group, with intervals, by grouping; what has a single group is left out.

    Args:
        judged: n films.
        groupings: by name, the group of each film; None leaves it out.
        threshold: a score of at least this is called malignant.
        seed: of the bootstrap.
    """
    found = {}
    for name, groups in groupings.items():
        values = sorted({group for group in groups if group is not None}, key=_place)
        if len(values) > 1:
            members = {value: np.array([group == value for group in groups]) for value in values}
            found[name] = [
                {"group": value, **row(judged, inside, threshold, seed)}
                for value, inside in members.items()
            ]
    return found


def row(judged: Judged, inside: NDArray[np.bool_], threshold: float, seed: int) -> dict[str, Any]:
    """Score one group: how many films, how well ranked and called, and how high they score."""
    labels, scores, patients = judged.labels[inside], judged.scores[inside], judged.patients[inside]
    weights = bootstrap.draw(labels, patients, seed)
    ranking, called = (
        metrics.ranking(labels, scores, weights),
        metrics.at_threshold(labels, scores, threshold, weights),
    )
    everyone = np.ones(len(labels), dtype=np.bool_)
    shown = ("accuracy", "sensitivity", "specificity")
    return {
        "images": len(labels),
        "malignant": int(labels.sum()),
        "patients": len(set(patients.tolist())),
        "auc": ranking["auc"],
        "auc_delong_95": ranking["auc_delong_95"],
        **{name: called[name] for name in shown},
        "mean_score": float(scores.mean()),
        "mean_score_benign": _mean(scores[labels == 0]),
        "mean_score_malignant": _mean(scores[labels > 0]),
        "intervals_95": {
            "auc": ranking["intervals_95"].get("auc"),
            **{name: called["intervals_95"][name] for name in shown},
            "mean_score": bootstrap.interval(bootstrap.mean(scores, everyone, weights)),
        },
    }


def groupings(
    films: Sequence[Film], brightness: Sequence[str | None]
) -> dict[str, Sequence[str | None]]:
    """
    Group the films in every way that the index knows.

    Args:
        films: n films.
        brightness: the brightness group of each; None if unknown.
    """
    return {
        "view": [film.view for film in films],
        "breast density": [_text(film.density) for film in films],
        "subtlety of the plainest lesion (5 = obvious)": [
            _text(max(film.subtlety, default=None)) for film in films
        ],
        LESION_TYPE: [film.abnormality for film in films],
        "scanner": [film.scanner for film in films],
        "brightness": brightness,
        DOMAIN: [film.domain for film in films],
        DATA_SET: [film.source for film in films],
    }


def brightness(training: NDArray[np.float32], contrast: NDArray[np.float32]) -> list[str]:
    """
    Name the brightness group of some films.

    Args:
        training: contrast of the training films, whose thirds are the groups.
        contrast: of the films to sort.
    """
    edges = np.quantile(training, (1 / 3, 2 / 3))
    return [BRIGHTNESS[number] for number in np.searchsorted(edges, contrast)]


def _place(group: str) -> tuple[int, str]:
    """Order thirds from dark to bright, everything else by its name."""
    return (BRIGHTNESS.index(group) if group in BRIGHTNESS else 0), group


def _mean(scores: metrics.Floats) -> float | None:
    return float(scores.mean()) if len(scores) else None


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
