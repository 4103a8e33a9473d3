"""The scores that a model has to beat: the radiologist, shortcuts, and shuffled labels."""

from collections.abc import Sequence
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from train.data.films import Prepared
from train.data.index import Film
from train.stats import bootstrap, metrics
from train.stats.metrics import Floats, Labels

THUMBNAIL: Final = 16
"""Rows and columns of the smallest picture, in pixels."""
STRENGTH: Final = 0.01
"""
C of scikit-learn: hundreds of neighbouring pixels on some hundred films need a strong penalty.
"""
INCOMPLETE: Final = 2.5
"""
The rank of BI-RADS 0, which wants more pictures and gives no grade.

Between 2 (benign) and 3 (probably benign).
"""
PERMUTATIONS: Final = 200


def birads(films: Sequence[Film], scores: Floats, seed: int) -> dict[str, Any]:
    """
    Measure the radiologist's own BI-RADS, the highest of a film's lesions, and the model beside it.

    Empty if fewer than two films of a class have one. `auc_zero_lowest` takes BI-RADS 0 as the
    number 0.
    """
    known = np.array([bool(film.birads) for film in films])
    graded = [film for film in films if film.birads]
    labels = np.array([film.malignant for film in graded], dtype=np.float32)
    if not 1 < labels.sum() < len(labels) - 1:
        return {}
    lowest = np.array([max(film.birads) for film in graded], dtype=np.float64)
    weights = bootstrap.draw(labels, np.array([film.patient for film in graded]), seed)
    return {
        "images": len(graded),
        "incomplete": sum(0 in film.birads for film in graded),
        "rule": (
            "highest of the film's lesions; BI-RADS 0, which wants more "
            f"pictures, is ranked as {INCOMPLETE:g}"
        ),
        "radiologist": metrics.ranking(labels, grades(films), weights),
        "auc_zero_lowest": metrics.auc(labels, lowest),
        "model": metrics.ranking(labels, scores[known], weights),
    }


def grades(films: Sequence[Film]) -> Floats:
    """Give the highest BI-RADS of each film that has one, shape (films with one,)."""
    return np.array(
        [max(grade or INCOMPLETE for grade in film.birads) for film in films if film.birads],
        dtype=np.float64,
    )


def shortcuts(training: Prepared, test: Prepared, seed: int) -> dict[str, dict[str, Any]]:
    """
    Measure logistic regressions on inputs that say little of the lesion: AUC on test films.

    Thumbnails of 16 x 16 pixels; two numbers of brightness; the scanner's letter if the index has
    one.
    """
    inputs = {
        "thumbnail": (_thumbnails(training), _thumbnails(test)),
        "brightness": (_brightness(training), _brightness(test)),
    }
    weights = bootstrap.draw(test.labels, test.patients, seed)
    found = {}
    for name, (learn, check) in inputs.items():
        model = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=1000)).fit(
            learn, training.labels
        )
        found[name] = metrics.ranking(test.labels, model.decision_function(check), weights)
    if all(any(film.scanner for film in side.films) for side in (training, test)):
        model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(
            _scanners(training), training.labels
        )
        found["scanner"] = metrics.ranking(
            test.labels, model.decision_function(_scanners(test)), weights
        )
    return found


def permutation(
    training: Prepared, test: Prepared, inputs: tuple[NDArray[Any], NDArray[Any]] | None, seed: int
) -> dict[str, Any]:
    """
    Train a linear probe on shuffled labels, again and again: its AUC must be that of chance.

    Were a test patient also among the training patients, or were something of the labels in the way
    the films are prepared, the mean would leave one half. All probes are one ridge regression with
    as many columns of labels.

    Args:
        training: films to train on.
        test: films to score.
        inputs: features of the network of both, shapes (n, channels); None: their thumbnails.
        seed: of the shuffling.
    """
    learn, check = inputs or (_thumbnails(training), _thumbnails(test))
    scaler = StandardScaler().fit(learn)
    learn, check = scaler.transform(learn), scaler.transform(check)
    columns = np.column_stack([training.labels, shuffled(training.labels, training.patients, seed)])
    # The penalty is the mean eigenvalue of the Gram matrix, which is the number of inputs since
    # each has variance 1.
    weights = np.linalg.solve(
        learn @ learn.T + learn.shape[1] * np.eye(len(learn)), columns - columns.mean(axis=0)
    )
    areas = np.array(
        [metrics.auc(test.labels, scores) for scores in (check @ (learn.T @ weights)).T]
    )
    true, chance = areas[0], areas[1:]
    return {
        "inputs": "features of the network"
        if inputs
        else f"thumbnails of {THUMBNAIL} x {THUMBNAIL} pixels",
        "runs": len(chance),
        "auc_true_labels": float(true),
        "auc_mean": float(chance.mean()),
        "auc_95": [float(value) for value in np.percentile(chance, (2.5, 97.5))],
        "p": float((1 + np.sum(chance >= true)) / (1 + len(chance))),
    }


def shuffled(labels: Labels, patients: metrics.Patients, seed: int) -> NDArray[np.float64]:
    """
    Shuffle the labels among the patients, PERMUTATIONS times: shape (n, runs).

    Each patient gets another one's label, and all of her films the same.
    """
    generator = np.random.default_rng(seed)
    names, member = np.unique(patients, return_inverse=True)
    malignant = np.zeros(len(names))
    np.maximum.at(malignant, member, labels)
    return np.column_stack([generator.permutation(malignant)[member] for _ in range(PERMUTATIONS)])


def _thumbnails(films: Prepared) -> NDArray[np.float32]:
    size = (THUMBNAIL, THUMBNAIL)
    small = [
        cv2.resize(image.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        for image in films.images
    ]
    return np.array(small, dtype=np.float32).reshape(len(small), -1)


def _brightness(films: Prepared) -> NDArray[np.float32]:
    """Give the mean of each image, and the width of its window over the full range of the file."""
    means = [image.mean(dtype=np.float32) for image in films.images]
    return np.column_stack([means, films.contrast]).astype(np.float32)


def _scanners(films: Prepared) -> NDArray[np.str_]:
    return np.array([[film.scanner or "unknown"] for film in films.films])
