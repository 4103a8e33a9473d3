"""
The radiologist's opinion of a lesion as a soft target.

Shape, margins, type, distribution and BI-RADS category tell malignant from benign lesions better
than a picture at this resolution does. A network that is taught by them as well as by the biopsy
learns what a lesion looks like, not its outcome alone (generalised distillation, Lopez-Paz et al.
2016).
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from train.data.index import Film

FOLDS: Final = 10
"""A lesion's opinion comes from a fit on nine tenths of the patients, never on its own."""
FEWEST: Final = 100
"""Lesions with descriptors below which no opinion can be told."""


def of_reader(films: Sequence[Film]) -> tuple[tuple[float | None, ...], ...]:
    """
    Tell the probability that a lesion is malignant from its descriptors alone.

    Args:
        films: of training; each lesion's opinion is fitted on the other folds' patients.

    Returns:
        One a lesion of each film; None where it has no descriptors, or too few lesions have.
    """
    places = [
        (row, column)
        for row, film in enumerate(films)
        for column, lesion in enumerate(film.lesions)
        if lesion.descriptors
    ]
    found: list[list[float | None]] = [[None] * len(film.lesions) for film in films]
    if len(places) >= FEWEST:
        for (row, column), opinion in zip(places, _opinions(films, places), strict=True):
            found[row][column] = opinion
    return tuple(map(tuple, found))


def _opinions(films: Sequence[Film], places: Sequence[tuple[int, int]]) -> list[float]:
    lesions = [films[row].lesions[column] for row, column in places]
    words = [
        {f"{lesion.abnormality} {word}": 1 for word in lesion.descriptors} for lesion in lesions
    ]
    labels = np.array([lesion.label == "malignant" for lesion in lesions])
    patients = [films[row].patient for row, _ in places]
    fit = make_pipeline(DictVectorizer(), LogisticRegression(max_iter=1000))
    told = cross_val_predict(
        fit, words, labels, groups=patients, cv=GroupKFold(FOLDS), method="predict_proba"
    )
    return [float(value) for value in told[:, 1]]
