"""The exported file says what Keras says, and the bundle is one the daemon takes."""

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge.errors import ModelError
from edge.inference.engine import Shapes
from edge.inference.image import Limits, open_mammogram
from edge.inference.preprocess import prepare
from edge.models.bundle import sha256_of, verify
from edge.models.manifest import MANIFEST, Manifest, ModelFile
from edge.models.pointing import KEY, pointing_of
from tests.support.tiny import Tiny
from train.data.films import model_input
from train.errors import TrainError
from train.exporting import bundle_writer, remote_engine, tflite
from train.exporting import tolerances as agreement
from train.fitting import finished_run, loop

SHAPES = Shapes((1, 64, 64, 3), (1, 1), (1, 2, 2, 1))
"""Of the tiny network."""


def test_exported_file_says_what_keras_says(tiny: Tiny) -> None:
    done = finished_run.reopen(tiny.run, None)
    by_keras = loop.probabilities(done.model, done.films, done.recipe)
    tensors = (model_input(image, done.recipe.input) for image in done.films.images)
    exported = remote_engine.scores(
        tiny.run.bundle / "model.tflite",
        tflite.shapes(done.model, done.recipe.input),
        "litert",
        tensors,
    )
    assert np.abs(exported - by_keras).max() < done.recipe.max_difference
    assert by_keras.std() > 10 * abs((exported - by_keras).mean())


def test_bundle_verifies_and_its_known_answers_come_out(tiny: Tiny) -> None:
    bundle = verify(tiny.run.bundle)
    model = bundle.manifest.models["model.tflite"]
    assert len(model.known_answers) == 3
    for answer in model.known_answers:
        tensor = prepare(
            open_mammogram(bundle.folder / answer.image, Limits()), bundle.manifest.input
        ).tensor
        found = remote_engine.scores(bundle.folder / "model.tflite", SHAPES, "litert", [tensor])[0]
        assert found == pytest.approx(answer.raw, abs=model.tolerance["litert"])


def test_known_answers_are_small_grey_pngs_of_three_training_patients(tiny: Tiny) -> None:
    for number in (1, 2, 3):
        path = tiny.run.bundle / "known" / f"{number}.png"
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert pixels is not None
        assert pixels.ndim == 2
        assert max(pixels.shape) <= 400
        assert path.stat().st_size < 100_000


def test_manifest_names_command_data_and_attribution(tiny: Tiny) -> None:
    manifest = verify(tiny.run.bundle).manifest
    assert str(manifest.training["command"]).startswith("mammo-train fit ")
    assert (tiny.run.bundle / "ATTRIBUTION").read_text() == "Drawn from the fixtures.\n"
    assert "not a medical device" in manifest.intended_use
    assert manifest.version == "0.1.0"
    test = manifest.scores["test"]
    assert isinstance(test, dict)
    assert len(test["intervals_95"]["auc"]) == 2


def test_without_boxes_nothing_is_said_of_where_the_map_points(tiny: Tiny) -> None:
    manifest = verify(tiny.run.bundle).manifest
    files: Any = manifest.training["files"]
    assert [file[KEY] for file in files if file["shipped"]] == [{}] * len(manifest.models)
    assert pointing_of(manifest) is None


def test_no_path_of_the_machine_is_in_the_bundle_but_as_typed(tiny: Tiny) -> None:
    assert str(Path.home()) not in (tiny.run.bundle / MANIFEST).read_text()


def test_bundle_without_its_manifest_is_none(tiny: Tiny, tmp_path: Path) -> None:
    for path in tiny.run.bundle.rglob("*"):
        if path.is_file() and path.name != MANIFEST:
            (tmp_path / path.relative_to(tiny.run.bundle)).parent.mkdir(exist_ok=True)
            (tmp_path / path.relative_to(tiny.run.bundle)).write_bytes(path.read_bytes())
    with pytest.raises(ModelError, match="not a model bundle"):
        verify(tmp_path)


def test_writing_over_an_older_bundle_leaves_nothing_of_it(tiny: Tiny, tmp_path: Path) -> None:
    manifest = verify(tiny.run.bundle).manifest
    files = {name: (tiny.run.bundle / name).read_bytes() for name in manifest.files}
    older = {**files, "old.txt": b"old"}
    bundle_writer.write(
        tmp_path, older, manifest.model_copy(update={"files": bundle_writer.digests(older)})
    )
    bundle_writer.write(tmp_path, files, manifest)
    assert not (tmp_path / "old.txt").exists()
    assert {
        path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()
    } == {MANIFEST, *files}


def test_bundle_whose_known_answers_the_daemon_would_refuse_is_not_left_behind(
    tiny: Tiny, tmp_path: Path
) -> None:
    manifest = verify(tiny.run.bundle).manifest
    files = {name: (tiny.run.bundle / name).read_bytes() for name in manifest.files}
    for refusing in manifest.models:
        models = {**manifest.models, refusing: shut(manifest, refusing)}
        with pytest.raises(ModelError, match=r"known answer known/1\.png"):
            bundle_writer.write(tmp_path, files, manifest.model_copy(update={"models": models}))
        assert not (tmp_path / MANIFEST).exists()


def shut(manifest: Manifest, name: str) -> ModelFile:
    """A model file whose gate lets nothing through."""
    model = manifest.models[name]
    return model.model_copy(
        update={"gate": model.gate.model_copy(update={"min_breast_fraction": 1.0})}
    )


def test_older_manifest_that_names_a_file_outside_its_folder_leaves_that_file(
    tiny: Tiny, tmp_path: Path
) -> None:
    manifest = verify(tiny.run.bundle).manifest
    victim, folder = tmp_path / "victim", tmp_path / "bundle"
    victim.write_text("of others")
    folder.mkdir()
    named = manifest.model_copy(update={"files": {**manifest.files, "../victim": "0" * 64}})
    (folder / MANIFEST).write_text(named.model_dump_json(by_alias=True))
    bundle_writer.write(
        folder, {name: (tiny.run.bundle / name).read_bytes() for name in manifest.files}, manifest
    )
    assert victim.read_text() == "of others"


def test_manifest_names_the_network_the_index_and_the_seed_it_was_made_from(tiny: Tiny) -> None:
    training, notes = (
        verify(tiny.run.bundle).manifest.training,
        json.loads(tiny.run.notes.read_text()),
    )
    assert training["model_sha256"] == sha256_of(tiny.run.model)
    assert training["index_fingerprint"] == notes["index_fingerprint"]
    assert training["seed"] == notes["recipe"]["seed"]


@pytest.mark.parametrize(
    ("measured", "tolerance"), [(0.0, 1e-3), (1e-4, 1e-3), (3e-4, 2e-3), (0.012, 0.05), (0.9, 1.0)]
)
def test_tolerance_is_the_measured_difference_with_a_margin(
    measured: float, tolerance: float
) -> None:
    assert agreement.with_margin(measured) == pytest.approx(tolerance)


def test_other_interpreter_that_cannot_run_is_said(tiny: Tiny, tmp_path: Path) -> None:
    tensor = np.zeros((1, 64, 64, 3), np.float32)
    with pytest.raises(TrainError, match="No such file"):
        remote_engine.scores_elsewhere(
            tmp_path / "python", tiny.run.bundle / "model.tflite", SHAPES, "tflite-runtime", tensor
        )


def test_export_notes_the_numbers(tiny: Tiny) -> None:
    exported = json.loads(tiny.run.exported.read_text())
    agreement = exported["agreement"]
    assert agreement["mean_difference"] <= agreement["max_difference"]
    whole = exported["files"][0]["parity"].values()
    assert max(side["max_raw_difference"] for side in whole) <= 0.03
    (default,) = (each for each in exported["files"] if each["file"] == exported["default"])
    parity = default["parity"]
    means = [side["mean_raw_difference"] for side in parity.values()]
    assert min(means) <= agreement["mean_difference"] <= max(means)
    assert exported["bundle_id"] == verify(tiny.run.bundle).bundle_id


def test_scores_of_another_process_are_the_same(tiny: Tiny) -> None:
    tensors = np.random.default_rng(0).random((3, 64, 64, 3), dtype=np.float32)
    model = tiny.run.bundle / "model.tflite"
    here = remote_engine.scores(model, SHAPES, "litert", tensors[:, None])
    assert remote_engine.scores_elsewhere(
        Path(sys.executable), model, SHAPES, "litert", tensors
    ) == pytest.approx(here)


def test_runtime_that_is_missing_elsewhere_is_said(tiny: Tiny) -> None:
    tensors = np.zeros((1, 64, 64, 3), np.float32)
    with pytest.raises(TrainError, match=r"tflite-runtime did not score: .*not installed"):
        remote_engine.scores_elsewhere(
            Path(sys.executable),
            tiny.run.bundle / "model.tflite",
            SHAPES,
            "tflite-runtime",
            tensors,
        )
