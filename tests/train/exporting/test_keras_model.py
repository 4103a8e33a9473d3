"""A Keras model that was not trained here becomes a bundle like any other."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest

from edge.domain import Rejection, Result
from edge.errors import Reason
from edge.inference.examiner import Examiner
from edge.inference.image import Limits
from edge.models.bundle import Bundle, verify
from tests.support.tiny import draw_films
from train import cli
from train.errors import TrainError
from train.exporting import keras_model
from train.fitting import finished_run
from train.fitting.network import FEATURES, LOGIT_MAP, PROBABILITY
from train.scoring import negatives

IMAGE = keras.Input((64, 64, 3))


def average() -> keras.KerasTensor:
    """The middle of a small network, averaged; its weights are random but always the same."""
    keras.utils.set_random_seed(3)
    middle = keras.layers.Conv2D(8, 5, strides=4, activation="relu")(IMAGE)
    middle = keras.layers.Conv2D(16, 3, strides=2, activation="relu")(middle)
    return keras.layers.GlobalAveragePooling2D()(middle)


def classic() -> keras.Model:
    """As most tutorials end: average, dropout, one sigmoid."""
    hidden = keras.layers.Dropout(0.3)(average())
    return keras.Model(
        IMAGE,
        keras.layers.Dense(1, activation="sigmoid", kernel_initializer="random_normal")(hidden),
    )


def deep() -> keras.Model:
    """Ends in two dense layers: no map says the same."""
    hidden = keras.layers.Dense(4, activation="relu")(average())
    return keras.Model(IMAGE, keras.layers.Dense(1, activation="sigmoid")(hidden))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_films(tmp_path_factory.mktemp("own"), 6)


def exported(model: keras.Model, root: Path, recipe: Path, films: Path, *more: str) -> Bundle:
    model.save(root / "own.keras")
    command = [
        "export",
        str(root / "run"),
        "--model",
        str(root / "own.keras"),
        "--recipe",
        str(recipe),
        "--data",
        str(films),
        *more,
    ]
    assert cli.main(command) == 0
    return verify(root / "run" / "bundle")


@pytest.fixture(scope="module")
def with_gate(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Path, films: Path) -> Bundle:
    """
    Exported with pictures that are no mammograms; there are too few films to say more than that it
    works.
    """
    root = tmp_path_factory.mktemp("with-gate")
    pictures = root / "pictures"
    pictures.mkdir()
    for number, data in enumerate(negatives.drawn(seed=1)):
        (pictures / f"{number}.png").write_bytes(data)
    return exported(
        classic(), root, tiny_recipe, films, "--not-mammograms", str(pictures), "--prefer", "float"
    )


def test_dense_layer_on_an_average_gets_a_map_whose_mean_is_its_logit(with_gate: Bundle) -> None:
    outputs = with_gate.manifest.outputs
    assert (outputs.probability, outputs.logit_map, outputs.features) == (
        (1, 1),
        (1, 7, 7, 1),
        (1, 16),
    )
    named = keras_model.named_outputs(classic())
    found = named(np.random.default_rng(0).random((3, 64, 64, 3), np.float32))
    mean = np.asarray(found[LOGIT_MAP]).mean(axis=(1, 2))
    np.testing.assert_allclose(1 / (1 + np.exp(-mean)), np.asarray(found[PROBABILITY]), atol=1e-5)


def test_daemon_turns_away_a_drawn_picture_by_its_features_and_scores_a_film(
    with_gate: Bundle, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examiner = Examiner(with_gate, "litert", 1, None, Limits())
    examiner.prove()
    outcomes = [examiner.examine(path) for path in sorted((films / "Malignant").iterdir())]
    assert all(isinstance(outcome, Result) for outcome in outcomes)
    # What is seen refuses all of them before; the network is to know them by itself.
    monkeypatch.setattr("edge.inference.segmentation.doubt_of", lambda *_: None)
    rejected = []
    for number, data in enumerate(negatives.drawn(seed=1)):
        (tmp_path / f"{number}.png").write_bytes(data)
        outcome = examiner.examine(tmp_path / f"{number}.png")
        rejected += [outcome] if isinstance(outcome, Rejection) else []
    assert len(rejected) > negatives.DRAWN / 2
    assert {outcome.reason for outcome in rejected} == {
        Reason.NOT_A_MAMMOGRAM,
        Reason.NOT_ONE_WHOLE_BREAST,
    }
    assert any("to the network it does not look like one" in outcome.text for outcome in rejected)


def test_bundle_says_which_file_is_the_default_and_why_and_what_each_costs(
    with_gate: Bundle,
) -> None:
    training = with_gate.manifest.training
    assert str(training["default_because"]).startswith(f"{with_gate.manifest.default_model} (float")
    files = json.loads(json.dumps(training["files"]))
    assert {file["quantization"] for file in files} >= {"float16", "int8"}
    for file in files:
        assert file["shipped"] is not bool(file["failures"])
        assert file["cost"]["litert"]["median_ms"] > 0
        assert file["cost"]["litert"]["memory_mb"] > 10
        assert len(file["parity"]["test"]["auc_drop_interval_95"]) == 2


def test_each_shipped_file_has_its_own_gate_calibration_and_points(with_gate: Bundle) -> None:
    for name, model in with_gate.manifest.models.items():
        assert model.gate.features is not None
        assert model.gate.features.weights == f"gate/{Path(name).stem}.npy"
        assert list(model.operating_points) == ["default", "sensitivity-0.90", "specificity-0.889"]
        assert model.calibration.prevalence is not None
        assert len(model.coverage_risk) > 5


def test_model_that_gives_a_probability_alone_is_exported_without_heat_map(
    tiny_recipe: Path, films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = exported(deep(), tmp_path, tiny_recipe, films)
    assert bundle.manifest.outputs.logit_map is None
    assert "no heat map, and the input gate has only its limits" in capsys.readouterr().err
    outcome = Examiner(bundle, "litert", 1, None, Limits()).examine(
        next((films / "Benign").iterdir())
    )
    assert isinstance(outcome, Result)
    assert outcome.prediction.heatmap is None


def test_outputs_are_told_apart_whatever_their_names() -> None:
    features = average()
    probability = keras.layers.Dense(1, activation="sigmoid")(features)
    assert set(keras_model.named_outputs(keras.Model(IMAGE, [features, probability])).output) == {
        FEATURES,
        PROBABILITY,
    }


@keras.saving.register_keras_serializable("tests")
class Doubled(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """A layer of somebody's own."""

    def call(self, image: keras.KerasTensor) -> keras.KerasTensor:
        return 2 * image


def test_model_with_a_layer_that_is_unknown_here_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = keras.layers.GlobalAveragePooling2D()(Doubled()(IMAGE))
    keras.Model(IMAGE, keras.layers.Dense(1, activation="sigmoid")(hidden)).save(
        tmp_path / "own.keras"
    )
    monkeypatch.delitem(keras.saving.get_custom_objects(), "tests>Doubled")
    monkeypatch.setattr(Doubled, "__module__", "nowhere")
    with pytest.raises(
        TrainError,
        match=(
            r"own\.keras: not a readable Keras model: Could not "
            r"locate class 'Doubled'.*to load them\.$"
        ),
    ):
        finished_run.load_network(tmp_path / "own.keras")


def test_probability_in_a_dictionary_is_a_probability() -> None:
    model = classic()
    found = keras_model.named_outputs(keras.Model(model.input, {"malignant": model.output}))
    assert set(found.output) == {PROBABILITY, LOGIT_MAP, FEATURES}


def test_two_classes_are_refused_with_found_and_expected() -> None:
    model = keras.Model(IMAGE, keras.layers.Dense(2, activation="softmax")(average()))
    with pytest.raises(
        TrainError, match=r"no output of shape \(None, 1\), a sigmoid's probability"
    ):
        keras_model.named_outputs(model)


def test_input_of_another_size_is_refused(
    tmp_path: Path, films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classic().save(tmp_path / "own.keras")
    command = [
        "export",
        str(tmp_path / "run"),
        "--model",
        str(tmp_path / "own.keras"),
        "--recipe",
        "seed",
        "--data",
        str(films),
    ]
    assert cli.main(command) == 1
    assert "input is (64, 64, 3), recipe seed prepares (150, 150, 3)" in capsys.readouterr().err


def test_model_without_recipe_or_data_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", str(tmp_path), "--model", str(tmp_path / "own.keras")]) == 1
    assert "--model needs --recipe" in capsys.readouterr().err
