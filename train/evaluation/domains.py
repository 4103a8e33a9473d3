"""Scanned films and digital mammograms, and breasts without a finding, each by themselves."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.models.manifest import OperatingPoint
from train.data.index import DOMAINS
from train.scoring.judge import Judged
from train.stats import bootstrap, metrics

NORMAL: Final = "normal"


def domains(judged: Judged, point: OperatingPoint, seed: int) -> dict[str, dict[str, Any]]:
    """
    Measure each domain that the data name.

    Args:
        judged: films, refused ones among them.
        point: the operating point that is served.
        seed: of the bootstrap.

    Returns:
        By `film` and `digital`: how many, how many refused, the share decided, and all scores;
        without those if a class is missing. Empty if the data say it of no film.
    """
    found: dict[str, dict[str, Any]] = {}
    for domain in DOMAINS:
        inside = np.array([film.domain == domain for film in judged.films], dtype=bool)
        if inside.any():
            found[domain] = numbers(judged, inside, point, seed)
    return found


def numbers(
    judged: Judged, inside: NDArray[np.bool_], point: OperatingPoint, seed: int
) -> dict[str, Any]:
    """
    Measure some of the films, by a mask of shape (n,).

    Returns:
        `images`, `malignant`, `patients`, `refused`, `decided`, and what `metrics.measure` gives if
        both classes are there.
    """
    labels, patients = judged.labels[inside], judged.patients[inside]
    found = {
        "images": int(inside.sum()),
        "malignant": int(labels.sum()),
        "patients": len(set(patients.tolist())),
        "refused": int(judged.refused[inside].sum()),
        "decided": float(judged.decided(point)[inside].mean()),
    }
    if 0 < labels.sum() < len(labels):
        scores = judged.scores[inside]
        found |= metrics.measure(labels, scores, patients, point.threshold, seed)
    return found


def normal(judged: Judged, point: OperatingPoint, seed: int) -> dict[str, Any]:
    """
    Measure the breasts in which nobody found anything.

    Args:
        judged: films, refused ones among them.
        point: the operating point that is served.
        seed: of the bootstrap.

    Returns:
        How many, the share called malignant and the share undecided with intervals, the mean score,
        and the AUC of malignant films against normal ones and against benign findings; None where a
        class is missing. Empty if the data name no normal film.
    """
    healthy = np.array([film.abnormality == NORMAL for film in judged.films], dtype=bool)
    if not healthy.any():
        return {}
    malignant = judged.labels > 0
    weights = bootstrap.draw(np.zeros(len(healthy)), judged.patients, seed)
    shares = {
        "called_malignant": (judged.scores >= point.threshold).astype(np.float64),
        "undecided": (~judged.decided(point)).astype(np.float64),
        "mean_score": judged.scores,
    }
    return {
        "images": int(healthy.sum()),
        "patients": len(set(judged.patients[healthy].tolist())),
        "refused": int(judged.refused[healthy].sum()),
        **{name: float(values[healthy].mean()) for name, values in shares.items()},
        "intervals_95": {
            name: bootstrap.interval(bootstrap.mean(values, healthy, weights))
            for name, values in shares.items()
        },
        "against_normal": _ranking(judged, malignant | healthy, seed),
        "against_benign": _ranking(judged, malignant | ~(malignant | healthy), seed),
    }


def _ranking(judged: Judged, inside: NDArray[np.bool_], seed: int) -> dict[str, Any]:
    labels, scores = judged.labels[inside], judged.scores[inside]
    weights = bootstrap.draw(labels, judged.patients[inside], seed)
    found = metrics.ranking(labels, scores, weights)
    return {name: found[name] for name in ("auc", "intervals_95")}
