"""The default point's rates on patients that chose it and on others, where the answer is known."""

import numpy as np
import pytest

from edge.models.manifest import OperatingPoint
from tests.support.films_drawn import film, judged
from train.evaluation import promise
from train.reporting import tables
from train.scoring.judge import Judged

PATIENTS = 40


def known() -> Judged:
    """One film a patient: benign ones anywhere, malignant ones high, but for one that is low."""
    films = [film(number, malignant=number % 2 > 0) for number in range(PATIENTS)]
    benign = np.linspace(0.05, 0.8, PATIENTS // 2)
    malignant = [0.1] + [0.9] * (PATIENTS // 2 - 1)
    return judged(films, np.stack([benign, malignant], axis=1).ravel().tolist())


def point(threshold: float) -> OperatingPoint:
    """A point without a band."""
    return OperatingPoint(
        threshold=threshold, band_low=threshold, band_high=threshold, chosen_on="nothing"
    )


def test_point_that_finds_everyone_misses_the_lowest_once_she_did_not_choose_it() -> None:
    """A malignant patient with the lowest score of all sets the threshold, unless held out."""
    films = known()
    found = promise.rates(films, films, point(0.06), sensitivity=1.0, seed=1)
    malignant = PATIENTS / 2
    assert found["validation"]["sensitivity"] == 1.0
    held_out = found["validation, held out in fifths"]
    assert held_out["sensitivity"] == pytest.approx((malignant - 1) / malignant)


def test_test_patients_are_called_by_the_point_as_it_is() -> None:
    others = judged([film(0, malignant=True), film(1, malignant=False)], [0.4, 0.6])
    found = promise.rates(known(), others, point(0.5), sensitivity=0.9, seed=1)
    assert (found["test"]["sensitivity"], found["test"]["specificity"]) == (0.0, 0.0)


def test_films_of_one_patient_are_held_out_together() -> None:
    """Her other film would otherwise set the threshold at her own score."""
    once = known()
    twice = judged([*once.films] * 2, once.scores.tolist() * 2)
    found = promise.rates(twice, twice, point(0.06), sensitivity=1.0, seed=1)
    assert found["validation, held out in fifths"]["sensitivity"] == pytest.approx(19 / 20)


def test_too_few_patients_to_hold_any_out_promise_nothing_more() -> None:
    two = judged([film(0, malignant=True), film(1, malignant=False)], [0.8, 0.2])
    found = promise.rates(two, two, point(0.5), sensitivity=0.9, seed=1)
    assert list(found) == ["validation", "test"]


def test_refused_film_chooses_no_threshold_and_counts_as_one_half() -> None:
    films = known()
    shut = [False] * (PATIENTS - 1) + [True]
    some = judged(list(films.films), [*films.scores[:-1].tolist(), 0.5], shut)
    found = promise.rates(some, some, point(0.5), sensitivity=1.0, seed=1)
    assert found["validation"]["confusion"]["true_positive"] == 19
    assert np.isfinite(found["validation, held out in fifths"]["specificity"])


def test_table_sets_them_side_by_side() -> None:
    films = known()
    found = promise.rates(films, films, point(0.06), sensitivity=1.0, seed=1)
    names = [row[0] for row in tables.promise({"promise": found}).rows]
    assert names == ["validation", "validation, held out in fifths", "test"]
    assert tables.promise({}).rows == []
