"""The input gate, learnt from the training images: an image unlike them is not scored."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from edge.inference.gate import likeness, read_weights
from edge.models.manifest import Gate
from train.data.films import Prepared
from train.scoring.negatives import without_films
from train.scoring.score import Features, Scored

Refused = NDArray[np.bool_]

TAIL: Final = 0.003
"""The share of the training images that each limit may refuse: together about 1 % at most."""
ROOM: Final = 0.5
"""
The factor by which the lower limits are lowered again.

Digital images have a narrower window and less breast than scanned film.
"""
CAUGHT: Final = 0.975
"""The share of the other pictures that the boundary is to catch."""
NEARER: Final = 0.25
"""
The place of the boundary on the way from the other pictures to the mammograms.

Mammograms of other machines need the room.
"""
STRENGTH: Final = 0.01
"""C of the logistic regression: there are more features than pictures."""
FOLDS: Final = 5
EDGE: Final = 1e-3
"""
The room between the limits and a known picture.

Training knows breast and contrast as float32, and other processors round otherwise.
"""
INSIDE: Final = 0.05
"""The least distance of a known picture from the boundary: training scores float16 pixels."""
CHANGED: Final = 60
"""The number of training films of which changed copies stand beside the mammograms."""


@dataclass(frozen=True, slots=True)
class Boundary:
    """A plane in the features; what lies below 0 is no mammogram."""

    weights: NDArray[np.float32]
    """Shape (channels,)."""
    bias: float

    def likeness(self, features: Features) -> NDArray[np.float64]:
        """Give the side of the boundary, shape (n,), of features of shape (n, channels)."""
        return likeness(features, self.weights, self.bias)


def boundary_of(gate: Gate, folder: Path) -> Boundary | None:
    """Read the boundary of a bundle in this folder; None if it has none."""
    return (
        None
        if gate.features is None
        else Boundary(read_weights(folder, gate.features), gate.features.bias)
    )


def fit_gate(training: Prepared) -> Gate:
    """Fit limits on breast fraction and contrast that at most 1 % of the training images break."""
    return Gate(
        min_breast_fraction=_low(training.breast_fraction),
        max_breast_fraction=round(
            float(np.quantile(training.breast_fraction, 1 - TAIL)) * (1 - ROOM) + ROOM, 4
        ),
        min_contrast=_low(training.contrast),
    )


def loosened(limits: Gate) -> Gate:
    """
    Loosen the limits if a boundary judges too: they are left what shows nothing at all.

    How much of a picture is brighter than air depends on the machine more than on what it shows: a
    grey background counts as breast.
    """
    update = {
        "min_breast_fraction": round(limits.min_breast_fraction * ROOM, 4),
        "max_breast_fraction": 1.0,
        "min_contrast": round(limits.min_contrast * ROOM, 4),
    }
    return limits.model_copy(update=update)


def fit_boundary(mammograms: Sequence[Features], others: Features) -> Boundary:
    """
    Fit a logistic regression, and move its line to catch enough by cross-validation.

    Args:
        mammograms: groups of them, such as films, their renderings, digital ones; each of shape (n,
            channels). Every group weighs the same, and has its own say where the line lies.
        others: shape (m, channels), at least five.
    """
    groups = [group for group in mammograms if len(group)]
    features = np.concatenate([*groups, others])
    kind = np.repeat(np.arange(len(groups) + 1), [*map(len, groups), len(others)])
    unseen = np.zeros(len(features))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    # A group too small to be in every fold is spread as one with the other mammograms.
    strata = kind if np.bincount(kind).min() >= FOLDS else kind == len(groups)
    for learn, check in folds.split(features, strata):
        unseen[check] = _fitted(features[learn], kind[learn]).decision_function(features[check])
    known = [unseen[kind == number] for number in range(len(groups))]
    threshold = _between(known, unseen[kind == len(groups)])
    scaler, line = (step for _, step in _fitted(features, kind).steps)
    weights = (line.coef_[0] / scaler.scale_).astype(np.float32)
    return Boundary(weights, float(line.intercept_[0] - np.sum(weights * scaler.mean_) - threshold))


def _fitted(features: Features, kind: NDArray[np.int_]) -> Pipeline:
    """Fit features of which the last kind is no mammogram; kinds of mammograms weigh the same."""
    counts = np.maximum(np.bincount(kind), 1)
    weight = np.append(counts[:-1].mean() / counts[:-1], 1.0)[kind]
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000)
    )
    return classifier.fit(
        features, kind < len(counts) - 1, logisticregression__sample_weight=weight
    )


def refused(
    films: Prepared, features: Features | None, gate: Gate, boundary: Boundary | None
) -> Refused:
    """Tell which of these films the gate would refuse, shape (n,)."""
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
    """Give the share of these films that the limits alone would refuse."""
    return float(refused(films, None, gate, None).mean())


def on_unseen_halves(
    mammograms: Scored,
    changed: Sequence[Features],
    others: Scored,
    digital: Scored | None = None,
) -> dict[str, Any]:
    """
    Measure the gate on what it was not fitted on: two halves, each judged by the other.

    Mammograms are halved by patient, and their changed copies with them.

    Args:
        mammograms: the training films.
        changed: features of copies of the films that `copied` names, several in a row of each.
        others: the pictures to be caught.
        digital: further mammograms, of which the network has learnt nothing.
    """
    caught, lost = np.zeros(len(others.raw), np.bool_), np.zeros(len(mammograms.raw), np.bool_)
    away = np.zeros(0 if digital is None else len(digital.raw), np.bool_)
    half_of, digital_half = _halves(mammograms), None if digital is None else _halves(digital)
    by_turn = np.arange(len(others.raw)) % 2
    for half in (0, 1):
        learn, check = mammograms.only(half_of == half), half_of != half
        gate = loosened(fit_gate(learn.films))
        groups = [features_of(learn), *(_of_half(copies, half_of, half) for copies in changed)]
        if digital is not None and digital_half is not None:
            groups.append(features_of(digital)[digital_half == half])
        boundary = fit_boundary(groups, features_of(others)[by_turn == half])
        lost[check] = refused(mammograms.films, mammograms.features, gate, boundary)[check]
        caught[by_turn != half] = refused(others.films, others.features, gate, boundary)[
            by_turn != half
        ]
        if digital is not None and digital_half is not None:
            rest = digital_half != half
            away[rest] = refused(digital.films, digital.features, gate, boundary)[rest]
    found = {
        "mammograms": len(lost),
        "mammograms_refused": float(lost.mean()),
        "others": len(caught),
        "others_caught": float(caught.mean()),
    }
    if digital is not None:
        found |= {"digital": len(away), "digital_refused": float(away.mean())}
    return found


def _halves(scored: Scored) -> NDArray[np.int_]:
    """Put each woman's images into one half, 0 or 1; shape (n,)."""
    digests = [hashlib.sha256(film.patient.encode()).digest() for film in scored.films.films]
    return np.array([digest[0] % 2 for digest in digests])


def _of_half(copies: Features, half_of: NDArray[np.int_], half: int) -> Features:
    """Keep the copies of films of one half."""
    films = half_of[copied(len(half_of))]
    return np.asarray(copies[films.repeat(len(copies) // len(films)) == half], np.float32)


def features_of(scored: Scored) -> Features:
    """Give the features, which must be there."""
    if scored.features is None:
        msg = "the model gives no features"
        raise ValueError(msg)
    return scored.features


def changed_copies(films: Prepared) -> Prepared:
    """
    Make copies of some films: darker, brighter, blurred, coarse and grainy.

    They are still mammograms, as other machines may show them.
    """
    which = copied(len(films.images))
    chosen = films.images[which].astype(np.float32)
    generator = np.random.default_rng(0)
    copies = [copy for image in chosen for copy in _changes(image, generator)]
    times = len(copies) // len(chosen)
    return without_films(
        np.stack(copies),
        films.breast_fraction[which].repeat(times),
        films.contrast[which].repeat(times),
    )


def copied(films: int) -> NDArray[np.int_]:
    """Choose the films that are copied, of so many."""
    return np.arange(0, films, max(1, films // CHANGED))


def let_through(
    gate: Gate, boundary: Boundary | None, films: Prepared, features: Features | None
) -> tuple[Gate, Boundary | None]:
    """Open the gate as far as these films need it: known pictures of a bundle must pass."""
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


def _between(mammograms: Sequence[NDArray[np.float64]], others: NDArray[np.float64]) -> float:
    """Place the line nearer to the others if the two leave room, else at the mammograms."""
    low = float(np.quantile(others, CAUGHT))
    high = min(float(np.quantile(group, TAIL)) for group in mammograms)
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
