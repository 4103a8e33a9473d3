"""Runtimes: the shipped model in the one that is installed, and what a model must look like."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import InferenceError, ModelError
from edge.inference.engine import BACKENDS, Engine, Shapes, open_engine
from edge.inference.engine.tflite import TfliteEngine
from edge.inference.preprocess import prepare
from edge.models.bundle import Bundle, verify
from tests.support.films import film
from tests.support.tools import ROOT

BUNDLE = ROOT / "edge" / "models" / "default"


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return verify(BUNDLE)


def shapes(bundle: Bundle) -> Shapes:
    spec, outputs = bundle.manifest.input, bundle.manifest.outputs
    return Shapes(
        (1, spec.height, spec.width, spec.channels),
        outputs.probability,
        outputs.logit_map,
        outputs.features,
        outputs.pooling,
        spec.low,
    )


@pytest.fixture(scope="module")
def engine(bundle: Bundle) -> Engine:
    return open_engine("auto", BUNDLE / bundle.manifest.default_model, shapes(bundle))


def some_input(bundle: Bundle) -> NDArray[np.float32]:
    return prepare(film(), bundle.manifest.input).tensor


def test_the_shipped_model_gives_a_probability_and_a_map(engine: Engine, bundle: Bundle) -> None:
    scores = engine.infer(some_input(bundle))
    assert 0 < scores.raw < 1
    assert scores.logit_map is not None
    assert scores.logit_map.shape == (bundle.manifest.outputs.logit_map or ())[1:3]


def test_the_highest_cell_in_the_breast_is_the_logit_of_the_score(
    engine: Engine, bundle: Bundle
) -> None:
    scores = engine.infer(some_input(bundle))
    assert scores.logit_map is not None
    assert scores.inside is not None
    highest = scores.logit_map[scores.inside].max()
    assert 1 / (1 + np.exp(-highest)) == pytest.approx(scores.raw, abs=1e-6)


def test_the_same_input_gives_the_same_score_after_another(engine: Engine, bundle: Bundle) -> None:
    first = engine.infer(some_input(bundle)).raw
    engine.infer(np.zeros(shapes(bundle).input, np.float32))
    assert engine.infer(some_input(bundle)).raw == first


def test_a_map_is_not_overwritten_by_the_next_inference(engine: Engine, bundle: Bundle) -> None:
    first = engine.infer(some_input(bundle)).logit_map
    assert first is not None
    kept = first.copy()
    engine.infer(np.zeros(shapes(bundle).input, np.float32))
    np.testing.assert_array_equal(first, kept)


def test_two_threads_give_the_same_score(engine: Engine, bundle: Bundle) -> None:
    other = open_engine("auto", BUNDLE / bundle.manifest.default_model, shapes(bundle), threads=2)
    assert (engine.threads, other.threads) == (1, 2)
    assert other.infer(some_input(bundle)).raw == pytest.approx(
        engine.infer(some_input(bundle)).raw, abs=1e-5
    )


LOAD = """
from dataclasses import replace
from pathlib import Path
from edge.models.bundle import verify
from edge.inference.examiner import Examiner
from edge.inference.image import Limits
Examiner(verify(Path("edge/models/default")), "auto", 1, None, Limits()).prove()
"""


def test_loading_a_model_prints_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=BUNDLE.parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (Shapes((1, 8, 8, 3), (1, 1)), "input: the model has"),
        (Shapes((1, 800, 512, 1), (1, 2)), "output `probability`: the model has"),
        (Shapes((1, 800, 512, 1), (1, 1), (1, 9, 9, 1)), "output `logit_map`: the model has"),
    ],
)
def test_a_model_of_other_shapes_is_refused_with_found_and_expected(
    bundle: Bundle, wrong: Shapes, sentence: str
) -> None:
    with pytest.raises(ModelError, match=sentence):
        open_engine("auto", BUNDLE / bundle.manifest.default_model, wrong)


@pytest.mark.parametrize("data", [None, b"", b"not a model" * 100])
def test_a_file_that_is_no_model_is_refused(
    bundle: Bundle, data: bytes | None, tmp_path: Path
) -> None:
    path = tmp_path / "model.tflite"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ModelError, match="cannot load it"):
        open_engine("auto", path, shapes(bundle))


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
    for module in BACKENDS.values():
        monkeypatch.delitem(sys.modules, module, raising=False)


def test_a_runtime_that_is_missing_is_named_with_what_installs_it(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, "tflite_runtime.interpreter")
    with pytest.raises(
        ModelError, match=r"^tflite-runtime is not installed: .*mammo-edge\[tflite-runtime\]"
    ):
        open_engine("tflite-runtime", BUNDLE / "model.tflite", shapes(bundle))


def test_no_runtime_at_all_is_a_sentence(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "tflite_runtime.interpreter", "ai_edge_litert.interpreter")
    with pytest.raises(ModelError, match="no runtime is installed"):
        open_engine("auto", BUNDLE / "model.tflite", shapes(bundle))


def test_an_unknown_runtime_is_refused_with_the_known_ones(bundle: Bundle) -> None:
    with pytest.raises(ModelError, match=r"'onnx', expected auto, litert or tflite-runtime"):
        open_engine("onnx", BUNDLE / "model.tflite", shapes(bundle))


class Fake:
    """An interpreter whose outputs are given."""

    def __init__(self, dtype: type[np.generic], outputs: dict[int, NDArray[Any]]) -> None:
        self.outputs, self.fed = outputs, np.zeros(0)
        self.scale = (0.0, 0) if dtype is np.float32 else (0.5, 10)
        self.dtype = dtype

    def allocate_tensors(self) -> None:
        pass

    def detail(self, index: int, shape: tuple[int, ...]) -> dict[str, Any]:
        return {
            "index": index,
            "shape": np.array(shape),
            "dtype": self.dtype,
            "quantization": self.scale,
        }

    def get_input_details(self) -> list[dict[str, Any]]:
        return [self.detail(0, (1, 1, 4, 1))]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [self.detail(index, value.shape) for index, value in self.outputs.items()]

    def set_tensor(self, index: int, value: NDArray[Any], /) -> None:
        assert index == 0
        self.fed = value

    def get_tensor(self, index: int, /) -> NDArray[Any]:
        return self.outputs[index]

    def invoke(self) -> None:
        pass


SHAPES = Shapes((1, 1, 4, 1), (1, 1), (1, 1, 2, 1))


def int8_model() -> Fake:
    return Fake(np.int8, {7: np.array([[[[12], [8]]]], np.int8), 3: np.array([[100]], np.int8)})


def test_an_int8_input_is_rounded_and_clipped_never_cut() -> None:
    fake = int8_model()
    TfliteEngine("litert", fake, SHAPES, 1).infer(
        np.array([0.24, 0.26, -0.74, 1000], np.float32).reshape(SHAPES.input)
    )
    assert fake.fed.reshape(-1).tolist() == [10, 11, 9, 127]


def test_an_int8_score_is_the_mean_of_its_map() -> None:
    fake = int8_model()
    fake.outputs[7][...] = np.array([14, 12], np.int8).reshape(1, 1, 2, 1)  # logits 2 and 1
    scores = TfliteEngine("litert", fake, SHAPES, 1).infer(np.zeros(SHAPES.input, np.float32))
    assert scores.raw == pytest.approx(1 / (1 + np.exp(-1.5)))


def test_an_int8_score_is_the_highest_cell_of_a_map_that_is_pooled_so() -> None:
    fake = int8_model()
    fake.outputs[7][...] = np.array([14, 12], np.int8).reshape(1, 1, 2, 1)  # logits 2 and 1
    shapes = replace(SHAPES, pooling="max")
    scores = TfliteEngine("litert", fake, shapes, 1).infer(np.zeros(SHAPES.input, np.float32))
    assert scores.raw == pytest.approx(1 / (1 + np.exp(-2)))


def test_features_come_beside_the_score_for_one_inference() -> None:
    fake = int8_model()
    fake.outputs[9] = np.array([[12, 8, 10]], np.int8)
    shapes = Shapes(SHAPES.input, (1, 1), (1, 1, 2, 1), (1, 3))
    scores = TfliteEngine("litert", fake, shapes, 1).infer(np.zeros(SHAPES.input, np.float32))
    assert scores.features is not None
    assert scores.features.tolist() == [1.0, -1.0, 0.0]


def test_features_are_read_where_the_manifest_names_them(engine: Engine, bundle: Bundle) -> None:
    features = engine.infer(some_input(bundle)).features
    assert features is not None
    assert features.shape == (bundle.manifest.outputs.features or ())[1:]
    found = shapes(bundle)
    without = Shapes(found.input, found.probability, found.logit_map)
    assert (
        open_engine("auto", BUNDLE / bundle.manifest.default_model, without)
        .infer(some_input(bundle))
        .features
        is None
    )


def test_outputs_of_the_same_shape_are_refused() -> None:
    fake = Fake(np.float32, {1: np.zeros((1, 1), np.float32)})
    with pytest.raises(
        ModelError, match=r"told apart by their shapes, .* the same: \[\(1, 1\), \(1, 1\)\]"
    ):
        TfliteEngine("litert", fake, Shapes(SHAPES.input, (1, 1), features=(1, 1)), 1)


@pytest.mark.parametrize(
    ("probability", "logit", "why"),
    [
        (np.nan, 0.0, "output is nan, expected a number from 0 to 1"),
        (np.inf, 0.0, "output is inf"),
        (1.02, 0.0, r"output is 1\.0199\d*, expected"),
        (-37.0, 0.0, r"output is -37\.0"),
        (0.5, np.nan, "map holds numbers that are not finite"),
    ],
)
def test_a_model_that_gives_no_usable_number_is_an_error(
    probability: float, logit: float, why: str
) -> None:
    fake = Fake(
        np.float32,
        {1: np.array([[probability]], np.float32), 2: np.full((1, 1, 2, 1), logit, np.float32)},
    )
    with pytest.raises(InferenceError, match=why):
        TfliteEngine("litert", fake, SHAPES, 1).infer(np.zeros(SHAPES.input, np.float32))


def test_a_probability_beyond_its_end_by_rounding_is_that_end() -> None:
    fake = Fake(
        np.float32, {1: np.array([[1.004]], np.float32), 2: np.zeros((1, 1, 2, 1), np.float32)}
    )
    assert (
        TfliteEngine("litert", fake, SHAPES, 1).infer(np.zeros(SHAPES.input, np.float32)).raw == 1
    )


def test_a_runtime_that_fails_at_an_image_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Fake) -> None:
        msg = "tensor 7 lacks data"
        raise RuntimeError(msg)

    monkeypatch.setattr(Fake, "invoke", fail)
    with pytest.raises(InferenceError, match="litert failed at the image: tensor 7 lacks data"):
        TfliteEngine("litert", int8_model(), SHAPES, 1).infer(np.zeros(SHAPES.input, np.float32))
