"""Every kind of exported file loads in the daemon's engine and says about what Keras says."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference.engine import Shapes, open_engine
from train.data.films import model_input
from train.errors import TrainError
from train.exporting import cost, remote_engine, tflite
from train.exporting.tflite import FLOAT16, FLOAT32, INT8, INT8_FLOAT_POOLING, Conversion
from train.fitting.network import FEATURES, LOGIT_MAP, PROBABILITY
from train.recipes.seed import RECIPE as SEED

FILMS = (
    np.random.default_rng(0).random((12, 150, 150)).astype(np.float16)
    * np.linspace(0.2, 1, 12, dtype=np.float16)[:, None, None]
)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A few convolutions whose map is weighed by a softmax, as a network's with auto-pool."""
    keras.utils.set_random_seed(1)
    image = keras.Input((150, 150, 3))
    features = keras.layers.Conv2D(12, 7, strides=15, activation="relu")(image)
    evidence = keras.layers.Conv2D(
        1, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=2.0, seed=1)
    )(features)
    cells = int(np.prod(evidence.shape[1:]))
    flat = keras.layers.Flatten()(evidence)
    weighed = keras.layers.Multiply()([keras.layers.Softmax()(flat), flat])
    logit_map = keras.layers.Reshape(tuple(evidence.shape[1:]))(
        keras.layers.Rescaling(float(cells))(weighed)
    )
    probability = keras.layers.Activation("sigmoid")(
        keras.layers.GlobalAveragePooling2D()(logit_map)
    )
    return keras.Model(
        image,
        {
            PROBABILITY: probability,
            LOGIT_MAP: logit_map,
            FEATURES: keras.layers.GlobalAveragePooling2D()(features),
        },
    )


@pytest.mark.parametrize(
    ("kind", "within"),
    [(FLOAT32, 1e-5), (FLOAT16, 5e-3), (INT8, 0.2), (INT8_FLOAT_POOLING, 0.1)],
    ids=lambda value: str(value)[:30],
)
def test_file_says_what_keras_says(
    kind: Conversion, within: float, network: keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / kind.file
    path.write_bytes(tflite.convert(network, SEED.input, kind, FILMS))
    engine = open_engine("litert", path, tflite.shapes(network, SEED.input))
    for film in FILMS[::4]:
        tensor = model_input(film, SEED.input)
        found, expected = (
            engine.infer(tensor),
            {name: np.asarray(value)[0] for name, value in network(tensor).items()},
        )
        assert found.raw == pytest.approx(float(expected[PROBABILITY][0]), abs=within)
        assert found.logit_map is not None
        assert found.features is not None
        assert found.logit_map.shape == expected[LOGIT_MAP].shape[:2]
        np.testing.assert_allclose(
            found.features, expected[FEATURES], atol=within * max(1, expected[FEATURES].max())
        )


def test_float16_is_smaller_than_float32(network: keras.Model) -> None:
    small, large = (
        len(tflite.convert(network, SEED.input, kind, FILMS)) for kind in (FLOAT16, FLOAT32)
    )
    assert small < large


def test_cost_is_measured_in_a_fresh_process_that_must_be_able_to_run_it(
    network: keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(b"no model")
    with pytest.raises(TrainError, match=r"litert did not run the model: .*cannot load it"):
        cost.measure(Path(sys.executable), path, tflite.shapes(network, SEED.input), "litert")
    with pytest.raises(TrainError, match="No such file"):
        cost.measure(tmp_path / "python", path, tflite.shapes(network, SEED.input), "litert")


def test_interpreter_that_takes_too_long_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_engine, "TIMEOUT_S", 0)
    with pytest.raises(TrainError, match="litert did not score within 0 s"):
        remote_engine.printed([sys.executable, "-c", "input()"], "litert did not score")


def test_ambiguous_shapes_are_refused_before_anything_is_scored(
    network: keras.Model, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite.convert(network, SEED.input, FLOAT16, FILMS))
    shapes = tflite.shapes(network, SEED.input)
    with pytest.raises(ModelError, match="told apart by their shapes"):
        open_engine(
            "litert",
            path,
            Shapes(shapes.input, shapes.probability, shapes.logit_map, shapes.probability),
        )
