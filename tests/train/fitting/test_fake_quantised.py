"""A network that rounds: the same weights, in steps of int8, trained to live with them."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edge.inference.engine import open_engine
from tests.support.dense import DENSE, RECIPE
from tests.support.films_drawn import film, lesion, prepared
from train.data.films import Prepared, model_input
from train.data.index import Film, Side
from train.exporting import tflite
from train.fitting import dense_network, fake_quantised, rounded_layers, stages
from train.fitting.dense_network import MALIGNANT, Network
from train.fitting.network import PROBABILITY
from train.fitting.rounded_layers import COUNTERPARTS, Rounded
from train.recipe import Averages
from train.run_folder import RunFolder

HOW = replace(
    DENSE,
    int8_steps=4,
    averages=Averages(strength=1.0, floor=0.1, steadiness=10.0, freedom=5.0),
)


def drawn(count: int) -> Prepared:
    generator = np.random.default_rng(0)
    images = generator.uniform(0.2, 0.6, (count, 96, 64))
    images[1::2, 20:40, 20:40] += 0.4
    box = lesion(20, 20, 40, 40)
    films = [film(n, malignant=bool(n % 2), lesions=(box,)) for n in range(count)]
    return prepared(films, images)


@pytest.fixture(scope="module")
def network() -> Network:
    keras.utils.set_random_seed(0)
    return dense_network.build(RECIPE, DENSE, "none")


@pytest.mark.parametrize("shape", [(1, 1, 6, 4), (3, 3, 4, 1)])
def test_each_channel_of_a_kernel_has_its_own_255_steps(shape: tuple[int, ...]) -> None:
    kernel = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    channels = kernel.reshape(-1, 4) * [1, 10, 0.1, 100]
    found = rounded_layers.rounded(channels.reshape(shape).astype(np.float32)).numpy()
    steps = np.abs(channels).max(axis=0) / 127
    error = np.abs(found.reshape(-1, 4) - channels)
    assert (error <= 0.501 * steps + 1e-6).all()
    assert error.max() > 0.1 * steps.max()


def test_rounding_lets_the_gradient_through() -> None:
    kernel = tf.Variable(np.random.default_rng(0).normal(0, 1, (1, 1, 6, 4)).astype(np.float32))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(rounded_layers.rounded(kernel))
    assert np.allclose(tape.gradient(total, kernel), 1)


def test_copy_that_rounds_gives_almost_the_same_maps(network: Network) -> None:
    films = drawn(4)
    copy = fake_quantised.of(network, films, RECIPE, DENSE)
    image = films.images.astype(np.float32)[..., None] * 2 - 1
    plain, steps = (each.pieces(image)[MALIGNANT].numpy() for each in (network, copy))
    assert 0 < np.abs(plain - steps).max() < 0.1
    assert [each.shape for each in copy.whole.weights] == [
        each.shape for each in network.whole.weights
    ]


def test_network_for_the_file_rounds_activations_and_no_weights(network: Network) -> None:
    copy = fake_quantised.of(network, drawn(2), RECIPE, DENSE)
    other = fake_quantised.for_file(copy, RECIPE, DENSE)
    kinds = [{type(layer) for layer in each.pieces.layers} for each in (copy, other)]
    assert Rounded in kinds[0] & kinds[1]
    assert kinds[0] - kinds[1] == set(COUNTERPARTS.values())
    assert all(
        np.array_equal(first, second)
        for first, second in zip(
            network.whole.get_weights(), other.whole.get_weights(), strict=True
        )
    )


def test_one_bright_pixel_does_not_make_every_step_coarser(network: Network) -> None:
    whole = np.random.default_rng(0).uniform(0.2, 0.6, (1, 768, 512))
    bright = whole.copy()
    bright[:, 50, 30] = 60.0

    def width(images: NDArray[np.float64]) -> float:
        films = prepared([film(0, malignant=True)], images)
        pieces = fake_quantised.of(network, films, RECIPE, DENSE).pieces
        layer = pieces.get_layer("expanded_conv_project_rounded")
        return float(layer.high - layer.low)

    assert width(bright) < 1.1 * width(whole)


def test_what_is_cut_at_six_is_not_rounded_beyond_twice_that(network: Network) -> None:
    head = dense_network.build(RECIPE, DENSE, "none")
    head.whole.set_weights(network.whole.get_weights())
    layer = head.pieces.get_layer("from_middle")
    layer.set_weights([1000 * each for each in layer.get_weights()])
    copy = fake_quantised.of(head, drawn(2), RECIPE, DENSE)
    assert copy.pieces.get_layer("from_middle_rounded").high <= 12


def test_recipe_with_int8_steps_trains_a_network_for_the_int8_file(tmp_path: Path) -> None:
    recipe = replace(RECIPE, dense=HOW)
    films = drawn(8)
    sides: dict[Side, tuple[Film, ...]] = {
        "train": films.films[:6],
        "validation": films.films[6:],
        "test": (),
    }
    model = stages.start(recipe, "none")
    trained = stages.train(model, recipe, films, sides, RunFolder(tmp_path))
    assert trained.int8 is not None
    changed = [
        not np.array_equal(first, second)
        for first, second in zip(
            trained.model.get_weights(), trained.int8.get_weights(), strict=True
        )
    ]
    assert any(changed)
    assert [epoch["epoch"] for epoch in trained.history["int8"]["epochs"]] == [4]
    path = tmp_path / tflite.INT8.file
    path.write_bytes(tflite.convert(trained.int8, recipe.input, tflite.INT8, films.images))
    tensor = model_input(films.images[1], recipe.input)
    found = open_engine("litert", path, tflite.shapes(trained.int8, recipe.input)).infer(tensor)
    expected = float(np.asarray(trained.int8(tensor)[PROBABILITY])[0, 0])
    assert found.raw == pytest.approx(expected, abs=0.1)


def test_int8_file_keeps_every_level_of_the_picture(network: Network, tmp_path: Path) -> None:
    path = tmp_path / tflite.INT8.file
    films = drawn(4)
    path.write_bytes(tflite.convert(network.whole, RECIPE.input, tflite.INT8, films.images))
    steps = [
        each["quantization"][0]
        for each in Interpreter(str(path)).get_tensor_details()
        if tuple(each["shape"]) == (1, 96, 64, 1)
    ]
    # From -1 to 1 at most.
    assert len(steps) > 1
    assert 255 * max(steps) < 2.02
