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
