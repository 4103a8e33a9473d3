"""The views of one breast averaged, as a reader does with CC and MLO."""

from typing import Any, Final

import numpy as np

from train.scoring.judge import Judged
from train.stats import metrics

SEVERAL: Final = 2


def tables(judged: Judged, threshold: float, seed: int) -> dict[str, dict[str, Any]]:
    """
    Score breasts instead of films: every breast, and those with two or more views.

    Empty if no film says its side.

    Beside the second the scores of the same films one by one, since breasts seen twice may be the
    easier ones.
    """
    breasts = _members(judged)
    several = [members for members in breasts if len(set(_views(judged, members))) >= SEVERAL]
    found = {
        "all breasts": _averaged(judged, breasts, threshold, seed),
        "breasts with several views": _averaged(judged, several, threshold, seed),
    }
    films = [[number] for members in several for number in members]
    found["the films of the latter, one by one"] = _averaged(judged, films, threshold, seed)
    return {name: numbers for name, numbers in found.items() if numbers}


def _members(judged: Judged) -> list[list[int]]:
    """List the places of the films of each breast."""
    breasts: dict[tuple[str, str], list[int]] = {}
    for number, film in enumerate(judged.films):
        if film.laterality:
            breasts.setdefault((film.patient, film.laterality), []).append(number)
    return list(breasts.values())


def _averaged(
    judged: Judged, groups: list[list[int]], threshold: float, seed: int
) -> dict[str, Any]:
    """
    Average the calibrated scores of each group of films, malignant if one of them is.

    Empty if a class is missing.
    """
    labels = np.array([judged.labels[members].max() for members in groups], dtype=np.float32)
    if len(set(labels.tolist())) < SEVERAL:
        return {}
    scores = np.array([_over_views(judged, members) for members in groups])
    patients = np.array([judged.patients[members[0]] for members in groups])
    return metrics.measure(labels, scores, patients, threshold, seed)


def _views(judged: Judged, members: list[int]) -> list[str]:
    """Give the view of each film; a film that does not say it counts as a view of its own."""
    return [judged.films[number].view or f"film {number}" for number in members]


def _over_views(judged: Judged, members: list[int]) -> float:
    """Average over views; one that stands in the data twice, as in two resolutions, counts once."""
    scores: dict[str, list[float]] = {}
    for number, view in zip(members, _views(judged, members), strict=True):
        scores.setdefault(view, []).append(float(judged.scores[number]))
    return float(np.mean([np.mean(of_a_view) for of_a_view in scores.values()]))
