"""Averages beside the map: the regression, and the network that it is written into."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.dense import DENSE, RECIPE
from tests.support.films_drawn import film, prepared
from train.data.films import Prepared
from train.fitting import averages, dense_network, network
from train.recipe import Averages

HOW = Averages(strength=1.0, floor=0.1, steadiness=10.0, freedom=5.0)


def drawn(count: int) -> Prepared:
    """Films of odd number are malignant and coarser in texture."""
    generator = np.random.default_rng(0)
    images = generator.uniform(0.2, 0.6, (count, 96, 64))
    images[1::2] = images[1::2, ::4, ::4].repeat(4, axis=1).repeat(4, axis=2)
    return prepared([film(number, malignant=bool(number % 2)) for number in range(count)], images)


def test_highest_cell_of_the_map_is_the_fitted_logit(tiny_weights: Path) -> None:
    keras.utils.set_random_seed(0)
    recipe = replace(RECIPE, dense=replace(DENSE, averages=HOW))
    assert recipe.dense
    found = dense_network.build(recipe, recipe.dense, str(tiny_weights))
    films = drawn(12)
    scores = averages.fit(found, HOW, films, drawn(6), recipe)
    outputs = found.whole.predict(films.images.astype(np.float32)[..., None], verbose=0)
    highest = outputs[network.LOGIT_MAP].max(axis=(1, 2, 3))
    assert outputs[network.PROBABILITY][:, 0] == pytest.approx(1 / (1 + np.exp(-highest)), abs=1e-5)
    assert highest[1::2].mean() > highest[::2].mean()
    assert scores["train_auc"] > 0.9
    again = averages.fit(found, HOW, films, drawn(6), recipe)
    assert again == scores


def moved(size: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """By a rendering, along the first of four features."""
    found = np.zeros((400, 4))
    found[:, 0] = np.random.default_rng(1).normal(0, size, 400)
    return found


def test_what_a_rendering_moves_gets_little_weight() -> None:
    generator = np.random.default_rng(0)
    labels = (np.arange(400) % 2).astype(np.float32)
    seen = generator.normal(0, 1, (400, 4))
    seen[:, :2] += labels[:, None]
    strict = replace(HOW, strength=0.01)
    still, _ = averages._fitted(seen, labels, moved(0.0), strict)
    shaken, _ = averages._fitted(seen, labels, moved(2.0), strict)
    assert still[0] == pytest.approx(still[1], rel=0.3)
    assert shaken[0] < 0.5 * still[0]
    assert shaken[1] > 0.9 * still[1]


def test_nearly_dead_feature_gets_no_enormous_weight() -> None:
    generator = np.random.default_rng(0)
    labels = (np.arange(400) % 2).astype(np.float32)
    seen = generator.normal(0, 1, (400, 4))
    seen[:, 1] = 1e-3 * (labels + generator.normal(0, 1, 400))
    weights, _ = averages._fitted(seen, labels, moved(0.0), HOW)
    assert np.abs(weights).max() < 10


def pooled(*counts: int) -> Prepared:
    """Make films, benign and malignant, and as many digital mammograms as told."""
    kinds = [("film", False), ("film", True), ("digital", False), ("digital", True)]
    films = [
        (domain, bad)
        for (domain, bad), count in zip(kinds, counts, strict=True)
        for _ in range(count)
    ]
    drawn = [
        film(number, malignant=bad, domain=domain) for number, (domain, bad) in enumerate(films)
    ]
    return prepared(drawn, np.zeros((len(films), 4, 4)))


def test_digital_classes_count_as_those_of_the_films_do() -> None:
    weights = averages._balance(pooled(3, 2, 8, 1))
    assert weights.tolist() == [1, 1, 1, 1, 1, *[3 / 8] * 8, 2]


@pytest.mark.parametrize("counts", [(3, 2, 0, 0), (0, 0, 3, 2), (3, 2, 4, 0)])
def test_one_kind_or_one_class_alone_is_not_weighed(counts: tuple[int, ...]) -> None:
    assert set(averages._balance(pooled(*counts)).tolist()) == {1.0}


def test_no_more_than_so_many_of_each_kind_and_class_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(averages, "MOST", 3)
    films = pooled(2, 3, 9, 4)
    some = averages._some(films, seed=1)
    assert [len(rows) for rows in averages._groups(some)] == [2, 3, 3, 3]
    few = pooled(2, 3, 1, 0)
    assert averages._some(few, seed=1) is few


def test_weight_of_a_film_is_as_if_it_stood_there_so_often() -> None:
    generator = np.random.default_rng(0)
    labels = (np.arange(60) % 2).astype(np.float32)
    seen = generator.normal(0, 1, (60, 4)) + labels[:, None]
    once = averages._fitted(seen, labels, moved(0.0)[:60], HOW, np.full(60, 2.0))[0]
    other = averages._fitted(seen, labels, moved(0.0)[:60], replace(HOW, strength=2 * HOW.strength))
    assert once == pytest.approx(other[0], rel=1e-3)
