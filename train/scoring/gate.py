"""
The input gate: what an image must look like to be scored at all, learnt from the training images.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from edge.inference.gate import likeness, read_weights
from edge.models.manifest import Gate
from train.data.films import Prepared
from train.scoring.negatives import without_films
from train.scoring.score import Features, Scored

Refused = NDArray[np.bool_]

TAIL: Final = 0.003
"""Share of the training images that each of the limits may refuse: together about 1 % at most."""
ROOM: Final = 0.5
"""
The lower limits are set this much lower again: digital images have a narrower window and less
breast than scanned film.
"""
CAUGHT: Final = 0.975
"""Share of the other pictures that the boundary is to catch."""
NEARER: Final = 0.25
"""
How far from the other pictures, on the way to the mammograms, the boundary lies: mammograms of
other machines need the room.
"""
STRENGTH: Final = 0.01
"""C of the logistic regression: there are more features than pictures."""
FOLDS: Final = 5
EDGE: Final = 1e-3
"""
Room between the limits and a known picture: training knows breast and contrast as float32, and
other processors round otherwise.
"""
INSIDE: Final = 0.05
"""How far inside the boundary a known picture must lie: training scores it from float16 pixels."""
CHANGED: Final = 60
"""Training films of which changed copies stand beside the mammograms."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """Linear in the features; what lies below 0 is no mammogram."""

    weights: NDArray[np.float32]
    """Shape (channels,)."""
    bias: float

    def likeness(self, features: Features) -> NDArray[np.float64]:
        """Shape (n,), of features of shape (n, channels)."""
        return likeness(features, self.weights, self.bias)


def boundary_of(gate: Gate, folder: Path) -> Boundary | None:
    """That of a bundle in this folder, where it has one."""
    return (
        None
        if gate.features is None
        else Boundary(read_weights(folder, gate.features), gate.features.bias)
    )


def fit_gate(training: Prepared) -> Gate:
    """Limits on breast fraction and contrast that at most 1 % of the training images break."""
    return Gate(
        min_breast_fraction=_low(training.breast_fraction),
        max_breast_fraction=round(
            float(np.quantile(training.breast_fraction, 1 - TAIL)) * (1 - ROOM) + ROOM, 4
        ),
        min_contrast=_low(training.contrast),
    )


def loosened(limits: Gate) -> Gate:
    """
    The same where a boundary judges too: only what shows nothing at all is left to the limits.

    How much of a picture is brighter than air depends on the machine more than on what it shows: a
    grey background counts as breast.
    """
    update = {
        "min_breast_fraction": round(limits.min_breast_fraction * ROOM, 4),
        "max_breast_fraction": 1.0,
        "min_contrast": round(limits.min_contrast * ROOM, 4),
    }
    return limits.model_copy(update=update)


def fit_boundary(mammograms: Features, others: Features) -> Boundary:
    """
    Logistic regression between the two, and then the line moved to where cross-validation says that
    it catches enough.

    Args:
        mammograms: shape (n, channels).
        others: shape (m, channels), at least five.
    """
    features = np.concatenate([mammograms, others])
    is_mammogram = np.arange(len(features)) < len(mammograms)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    unseen = cross_val_predict(
        _classifier(), features, is_mammogram, cv=folds, method="decision_function"
    )
    threshold = _between(unseen[is_mammogram], unseen[~is_mammogram])
    scaler, line = (step for _, step in _classifier().fit(features, is_mammogram).steps)
    weights = (line.coef_[0] / scaler.scale_).astype(np.float32)
    return Boundary(weights, float(line.intercept_[0] - np.sum(weights * scaler.mean_) - threshold))


def refused(
    films: Prepared, features: Features | None, gate: Gate, boundary: Boundary | None
) -> Refused:
    """Which of these the gate would refuse, shape (n,)."""
    fraction, contrast = films.breast_fraction, films.contrast
    passed = (
        (fraction >= gate.min_breast_fraction)
        & (fraction <= gate.max_breast_fraction)
        & (contrast >= gate.min_contrast)
    )
    if boundary is not None and features is not None:
        passed = passed & (boundary.likeness(features) >= 0)
    return np.asarray(~passed, dtype=np.bool_)


def refused_share(films: Prepared, gate: Gate) -> float:
    """Which share of these films the limits alone would refuse."""
    return float(refused(films, None, gate, None).mean())


def on_unseen_halves(mammograms: Scored, changed: Features, others: Scored) -> dict[str, Any]:
    """
    What the gate catches and refuses of what it was not fitted on: fitted on one half, measured on
    the other, and the other way round.

    Mammograms are halved by patient, and their changed copies with them.

    Args:
        mammograms: the training films.
        changed: features of their `changed_copies`.
        others: what is to be caught.
    """
    caught, lost = np.zeros(len(others.raw), np.bool_), np.zeros(len(mammograms.raw), np.bool_)
    by_woman = np.array(
        [hashlib.sha256(film.patient.encode()).digest()[0] % 2 for film in mammograms.films.films]
    )
    copied = by_woman[_copied(len(by_woman))]
    copied = copied.repeat(len(changed) // len(copied))
    by_turn = np.arange(len(others.raw)) % 2
    for half in (0, 1):
        learn, check = mammograms.only(by_woman == half), by_woman != half
        gate = loosened(fit_gate(learn.films))
        inside = np.concatenate([features_of(learn), changed[copied == half]])
        boundary = fit_boundary(inside, features_of(others)[by_turn == half])
        lost[check] = refused(mammograms.films, mammograms.features, gate, boundary)[check]
        caught[by_turn != half] = refused(others.films, others.features, gate, boundary)[
            by_turn != half
        ]
    return {
        "mammograms": len(lost),
        "mammograms_refused": float(lost.mean()),
        "others": len(caught),
        "others_caught": float(caught.mean()),
    }


def features_of(scored: Scored) -> Features:
    """Its features, which must be there."""
    if scored.features is None:
        msg = "the model gives no features"
        raise ValueError(msg)
    return scored.features


def changed_copies(films: Prepared) -> Prepared:
    """
    Some films darker, brighter, blurred, coarse and grainy: still mammograms, as other machines may
    show them.
    """
    which = _copied(len(films.images))
    chosen = films.images[which].astype(np.float32)
    generator = np.random.default_rng(0)
    copies = [copy for image in chosen for copy in _changes(image, generator)]
    times = len(copies) // len(chosen)
    return without_films(
        np.stack(copies),
        films.breast_fraction[which].repeat(times),
        films.contrast[which].repeat(times),
    )


def _copied(films: int) -> NDArray[np.int_]:
    """Which of so many films are copied."""
    return np.arange(0, films, max(1, films // CHANGED))


def let_through(
    gate: Gate, boundary: Boundary | None, films: Prepared, features: Features | None
) -> tuple[Gate, Boundary | None]:
    """
    The same gate, opened as far as these need it: the known pictures of a bundle must pass it.
    """
    opened = gate.model_copy(
        update={
            "min_breast_fraction": min(
                gate.min_breast_fraction, max(0.0, float(films.breast_fraction.min()) - EDGE)
            ),
            "max_breast_fraction": max(
                gate.max_breast_fraction, min(1.0, float(films.breast_fraction.max()) + EDGE)
            ),
            "min_contrast": min(gate.min_contrast, max(0.0, float(films.contrast.min()) - EDGE)),
        }
    )
    if boundary is None or features is None:
        return opened, boundary
    least = float(boundary.likeness(features).min())
    missing = max(0.0, INSIDE - least, -least * (1 + ROOM))
    return opened, Boundary(boundary.weights, boundary.bias + missing)


def _classifier() -> Pipeline:
    return make_pipeline(
        StandardScaler(), LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    )


def _between(mammograms: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    """Nearer to the others where the two leave room, else where the mammograms still pass."""
    low, high = float(np.quantile(others, CAUGHT)), float(np.quantile(mammograms, TAIL))
    return low + NEARER * (high - low) if low < high else high


def _changes(
    image: NDArray[np.float32], generator: np.random.Generator
) -> tuple[NDArray[np.float32], ...]:
    height, width = image.shape
    coarse = cv2.resize(
        image, (max(1, width // 3), max(1, height // 3)), interpolation=cv2.INTER_AREA
    )
    grain = generator.normal(0, 0.05, image.shape).astype(np.float32) * (image > 0)
    return (
        image**0.6,
        image**1.7,
        np.asarray(cv2.GaussianBlur(image, (0, 0), max(height, width) / 350), np.float32),
        np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR), np.float32),
        np.clip(image + grain, 0, 1),
    )


def _low(values: NDArray[np.float32]) -> float:
    return round(float(np.quantile(values, TAIL)) * ROOM, 4)
