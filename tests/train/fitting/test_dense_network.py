"""The dense network: MobileNetV2, batch norm folded, and the map's highest cell as the score."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from edge.inference.engine import open_engine
from tests.support import shallow
from tests.support.dense import DENSE, RECIPE
from train.exporting import tflite
from train.fitting import dense_network, network
from train.fitting.dense_layers import Doubled, Scaled
from train.fitting.dense_network import Network


@pytest.fixture(scope="module")
def built(tiny_weights: Path) -> Network:
    keras.utils.set_random_seed(1)
    return dense_network.build(RECIPE, DENSE, str(tiny_weights))


def some_images(channels: int = 1) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(2).random((2, 96, 64, channels), np.float32)


@pytest.mark.usefixtures("whole_network")
def test_folded_network_sees_what_keras_mobilenet_sees(tmp_path: Path) -> None:
    shallow.draw_weights(tmp_path)
    weights = tmp_path / "tiny.weights.h5"
    built = dense_network.build(RECIPE, DENSE, str(weights))
    base = keras.applications.MobileNetV2((96, 64, 3), alpha=0.35, include_top=False, weights=None)
    base.load_weights(weights)
    middle = keras.Model(base.input, base.get_layer("block_13_expand_relu").output)
    grey = some_images() * 2 - 1
    expected = np.asarray(middle(np.repeat(grey, 3, axis=-1)))
    found = np.asarray(built.pieces(grey)[dense_network.MIDDLE])
    assert expected.std() > 0.05
    assert found == pytest.approx(expected, abs=2e-3)


def test_three_channels_of_grey_are_one(built: Network, tiny_weights: Path) -> None:
    keras.utils.set_random_seed(1)
    coloured = replace(RECIPE, input=replace(RECIPE.input, channels=3))
    three = dense_network.build(coloured, DENSE, str(tiny_weights))
    one = np.asarray(built.whole(some_images())[network.FEATURES])
    other = np.asarray(three.whole(np.repeat(some_images(), 3, axis=-1))[network.FEATURES])
    assert other == pytest.approx(one, abs=2e-3)


def test_highest_cell_of_the_map_is_the_logit(built: Network) -> None:
    found = built.whole(some_images())
    highest = np.asarray(found[network.LOGIT_MAP]).max(axis=(1, 2, 3))
    expected = 1 / (1 + np.exp(-highest))
    assert np.asarray(found[network.PROBABILITY])[:, 0] == pytest.approx(expected, abs=1e-6)
    assert found[network.LOGIT_MAP].shape == (2, 6, 4, 1)


def test_pieces_of_any_size_go_through_the_same_layers(built: Network) -> None:
    whole = np.asarray(built.pieces(some_images())[dense_network.MALIGNANT])
    assert whole.shape == (2, 6, 4, 1)
    smaller = np.asarray(built.pieces(some_images()[:, :64, :32])[dense_network.MALIGNANT])
    assert smaller.shape == (2, 4, 2, 1)


def test_frozen_blocks_and_what_lies_before_them_do_not_learn(built: Network) -> None:
    built.freeze(3)
    frozen = {layer.name for layer in built.base if not layer.trainable}
    built.freeze(0)
    assert {"Conv1", "expanded_conv_project", "block_1_project"} <= frozen
    assert not {"block_3_expand", "block_13_expand", "Conv_1"} & frozen
    assert all(layer.trainable for layer in built.base)


def test_scale_never_learns(built: Network) -> None:
    learnt = {weight.name for layer in built.base for weight in layer.trainable_weights}
    assert learnt == {"kernel", "bias"}


def test_saved_network_is_read_again(built: Network, tmp_path: Path) -> None:
    built.whole.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras", compile=False)
    one, two = (
        np.asarray(model(some_images())[network.LOGIT_MAP]) for model in (built.whole, again)
    )
    assert np.array_equal(one, two)
    assert isinstance(again.get_layer("pieces").get_layer("Conv_1"), Scaled)


def test_saved_network_is_read_by_a_process_that_trained_none(
    built: Network, tmp_path: Path
) -> None:
    built.whole.save(tmp_path / "model.keras")
    command = (
        "import sys; from pathlib import Path; from train.fitting.finished_run import load_network;"
        "print(sorted(load_network(Path(sys.argv[1])).output))"
    )
    done = subprocess.run(
        [sys.executable, "-c", command, str(tmp_path / "model.keras")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "['features', 'logit_map', 'probability']", done.stderr[-500:]


def test_enlarged_map_repeats_each_cell_of_any_size() -> None:
    cells = np.random.default_rng(0).random((2, 3, 5, 4), np.float32)
    expected = cells.repeat(2, axis=1).repeat(2, axis=2)
    assert np.array_equal(np.asarray(Doubled()(cells)), expected)
    image = keras.Input((None, None, 4))
    assert np.array_equal(np.asarray(keras.Model(image, Doubled()(image))(cells)), expected)


@pytest.mark.parametrize("kind", [tflite.FLOAT32, tflite.INT8], ids=["float32", "int8"])
def test_exported_file_says_what_the_network_says(
    built: Network, tmp_path: Path, kind: tflite.Conversion
) -> None:
    images = some_images()
    films = images[..., 0].astype(np.float16)
    path = tmp_path / kind.file
    path.write_bytes(tflite.convert(built.whole, RECIPE.input, kind, films))
    engine = open_engine("litert", path, tflite.shapes(built.whole, RECIPE.input))
    expected = built.whole(images)
    for number in range(2):
        found = engine.infer(images[number : number + 1])
        assert found.logit_map is not None
        own = np.asarray(expected[network.LOGIT_MAP])[number, :, :, 0]
        assert found.logit_map == pytest.approx(own, abs=1e-4 if kind == tflite.FLOAT32 else 0.2)
        assert found.raw == pytest.approx(
            float(expected[network.PROBABILITY][number, 0]),
            abs=1e-5 if kind == tflite.FLOAT32 else 0.05,
        )
