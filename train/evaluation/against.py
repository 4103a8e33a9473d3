"""
Two bundles on the same films: the one that is measured, and the one that it would replace.

Women are drawn, and both models are scored on each draw: what makes a draw easy is easy for both,
so that the interval of the difference is narrower than those of two separate measurements.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.models.bundle import Bundle, verify
from train.data.index import DOMAINS, Film, Index
from train.data.prepare import prepared
from train.scoring.judge import Judged, judge
from train.scoring.score import score_file, shapes_of
from train.stats import bootstrap, metrics


def measure(
    folder: Path, judged: Judged, cache: Path, training: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """
    Score another bundle on the same films and compare.

    Args:
        folder: of the other bundle.
        judged: the films with the scores of the one that is measured.
        cache: takes the films as the other one prepares them.
        training: of the measured bundle's manifest.
        seed: of the bootstrap.

    Returns:
        The other bundle, if it was split like this one, so that it has not learnt from these films,
        and for all films and each domain both AUC and their difference with its paired interval.

    Raises:
        ModelError: the other bundle does not verify.
    """
    bundle = verify(folder)
    manifest = bundle.manifest
    alike = ("index_fingerprint", "seed")
    return {
        "bundle": {
            "id": bundle.bundle_id,
            "name": manifest.name,
            "version": manifest.version,
            "file": manifest.default_model,
        },
        "same_split": all(manifest.training.get(name) == training.get(name) for name in alike),
        "groups": compare(judged, _scores(bundle, judged.films, cache), seed),
    }


def compare(judged: Judged, other: metrics.Floats, seed: int) -> list[dict[str, Any]]:
    """
    Compare the scores of two models on the same films.

    Args:
        judged: films and the first model's scores.
        other: the second model's, shape (n,).
        seed: of the bootstrap.

    Returns:
        Of all films, and of each domain with both classes: how many, both AUC, the first minus the
        second, and its interval over patients.
    """
    groups: dict[str, NDArray[np.bool_]] = {"all": np.ones(len(other), dtype=bool)}
    for domain in DOMAINS:
        groups[domain] = np.array([film.domain == domain for film in judged.films], dtype=bool)
    rows = []
    for name, inside in groups.items():
        labels = judged.labels[inside]
        if 0 < labels.sum() < len(labels):
            rows.append({"group": name, **_row(judged, other, inside, seed)})
    return rows


def _row(
    judged: Judged, other: metrics.Floats, inside: NDArray[np.bool_], seed: int
) -> dict[str, Any]:
    labels, patients = judged.labels[inside], judged.patients[inside]
    ours, theirs = judged.scores[inside], other[inside]
    weights = bootstrap.draw(labels, patients, seed)
    drawn = bootstrap.auc(labels, ours, weights) - bootstrap.auc(labels, theirs, weights)
    auc, auc_other = metrics.auc(labels, ours), metrics.auc(labels, theirs)
    return {
        "images": len(labels),
        "malignant": int(labels.sum()),
        "patients": len(set(patients.tolist())),
        "auc": auc,
        "auc_other": auc_other,
        "difference": auc - auc_other,
        "intervals_95": {"difference": bootstrap.interval(drawn)},
    }


def _scores(bundle: Bundle, films: tuple[Film, ...], cache: Path) -> metrics.Floats:
    """Score films with a bundle, calibrated; a refused one has 0.5, as in every figure."""
    manifest = bundle.manifest
    seen = prepared(Index(str(bundle.folder), films), manifest.input, cache)
    file = bundle.folder / manifest.default_model
    scored = score_file(file, shapes_of(manifest), seen, manifest.input)
    return judge(films, scored, manifest.models[manifest.default_model], bundle.folder).scores
