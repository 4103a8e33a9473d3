"""Rounding of trained weights in which errors cancel out."""

import keras
import numpy as np
import pytest

from tests.support.dense import DENSE, RECIPE
from tests.support.films_drawn import film, prepared
from train.fitting import dense_network, rounded_layers, weight_rounding
from train.fitting.dense_network import MALIGNANT, Network
from train.fitting.weight_rounding import Floats


def alike(inputs: int, count: int = 2000) -> Floats:
    """Draw inputs that go together, as those of a layer do, shape (count, inputs)."""
    generator = np.random.default_rng(0)
    mixed = generator.normal(0, 1, (count, 3)) @ generator.normal(0, 1, (3, inputs))
    found: Floats = mixed + generator.normal(0, 0.1, (count, inputs))
    return found


def nearest(weights: Floats) -> Floats:
    step = np.abs(weights).max(axis=0) / 127
    found: Floats = np.round(weights / step) * step
    return found


def test_outputs_change_less_than_with_each_weight_rounded_for_itself() -> None:
    seen, weights = alike(24), np.random.default_rng(1).normal(0, 1, (24, 5))
    found = weight_rounding.together(weights, seen.T @ seen)
    errors = [np.square(seen @ (each - weights)).mean() for each in (found, nearest(weights))]
    assert errors[0] < 0.3 * errors[1]


def test_inputs_without_anything_in_common_are_rounded_to_the_nearest_step() -> None:
    weights = np.random.default_rng(1).normal(0, 1, (6, 4))
    assert np.allclose(weight_rounding.together(weights, np.eye(6)), nearest(weights))


def test_input_that_is_always_nothing_does_no_harm() -> None:
    seen = alike(6)
    seen[:, 2] = 0
    found = weight_rounding.together(np.ones((6, 1)), seen.T @ seen)
    assert np.isfinite(found).all()


def test_every_weight_lies_on_one_of_255_steps() -> None:
    seen, weights = alike(24), np.random.default_rng(1).normal(0, 1, (24, 5))
    found = weight_rounding.together(weights, seen.T @ seen)
    steps = found / (np.abs(weights).max(axis=0) / 127)
    assert np.allclose(steps, np.round(steps))
    assert np.allclose(np.abs(steps).max(axis=0), 127)


@pytest.fixture(scope="module")
def network() -> Network:
    keras.utils.set_random_seed(0)
    found, generator = dense_network.build(RECIPE, DENSE, "none"), np.random.default_rng(0)
    for layer in found.base:
        shape = layer.kernel.shape
        inputs = np.prod(shape[:2] if layer.channels is None else shape[:3])
        layer.kernel.assign(generator.normal(0, np.sqrt(2 / inputs), shape))
    return found


def test_rounded_network_says_almost_the_same_and_is_rounded_no_further(network: Network) -> None:
    images = np.random.default_rng(0).uniform(0.2, 0.6, (4, 96, 64))
    films = prepared([film(n, malignant=bool(n % 2)) for n in range(4)], images)
    seen = films.images.astype(np.float32)[..., None] * 2 - 1
    before = network.pieces(seen)[MALIGNANT].numpy()
    weight_rounding.round_weights(network, films, seed=0)
    after = network.pieces(seen)[MALIGNANT].numpy()
    assert 0 < np.abs(after - before).mean() < 0.1 * before.std()
    for layer in network.pieces.layers:
        if layer.weights:
            kernel = layer.folded() if layer in network.base else layer.weights[0]
            assert np.allclose(rounded_layers.rounded(kernel), kernel, atol=1e-5)
