"""
A training that was interrupted ends as one that was not; a folder of another training is left
alone.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny import Tiny
from tests.support.toy import train_toy, train_two_stages
from train import cli
from train.errors import TrainError
from train.fitting import checkpoint, resume
from train.run_folder import RunFolder


class Interrupted(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """The folder of a training that nothing interrupted; it is only read."""
    return RunFolder(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def uninterrupted(
    trained: RunFolder,
) -> tuple[list[np.ndarray[Any, Any]], list[dict[str, Any]]]:
    return train_toy(trained.stage())


def after(saves: int, save: Callable[..., None]) -> Callable[..., None]:
    """Saves as often as told, then fails."""
    done: list[None] = []

    def save_or_fail(*arguments: object) -> None:
        if len(done) == saves:
            raise Interrupted
        done.append(None)
        save(*arguments)

    return save_or_fail


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_interrupted_training_ends_with_the_weights_of_one_that_was_not(
    epochs: int,
    uninterrupted: tuple[list[np.ndarray[Any, Any]], list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = RunFolder(tmp_path).stage()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", after(epochs, checkpoint.save))
        with pytest.raises(Interrupted):
            train_toy(stage)
    weights, numbers = train_toy(stage)
    assert numbers == uninterrupted[1]
    for found, expected in zip(weights, uninterrupted[0], strict=True):
        assert np.array_equal(found, expected)


def test_finished_training_is_not_trained_again(
    uninterrupted: tuple[list[np.ndarray[Any, Any]], list[dict[str, Any]]],
    trained: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keras.Model, "fit", None)
    weights, numbers = train_toy(trained.stage())
    assert numbers == uninterrupted[1]
    assert all(np.array_equal(one, two) for one, two in zip(weights, uninterrupted[0], strict=True))


def test_second_stage_is_the_same_whether_or_not_the_first_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", after(1, checkpoint.save))
        with pytest.raises(Interrupted):
            train_two_stages(RunFolder(tmp_path / "interrupted"))
    weights = [train_two_stages(RunFolder(tmp_path / name)) for name in ("interrupted", "whole")]
    assert all(np.array_equal(one, two) for one, two in zip(*weights, strict=True))


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    checkpoint.save(path, checkpoint.Progress(), [keras.Variable(np.zeros(3))])
    saved = checkpoint.load(path)
    assert saved
    with pytest.raises(TrainError, match="1 variables of another network, expected 2; --restart"):
        saved.restore([keras.Variable(np.zeros(3)), keras.Variable(1.0)])


def test_half_a_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.npz"
    checkpoint.save(path, checkpoint.Progress(), [keras.Variable(np.zeros(3))])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(TrainError, match="not a checkpoint of this version"):
        checkpoint.load(path)


def test_tensorboard_finds_the_validation_score_of_every_epoch(
    uninterrupted: tuple[list[np.ndarray[Any, Any]], list[dict[str, Any]]], trained: RunFolder
) -> None:
    files = sorted((trained.stage().logs / "validation").iterdir())
    events = [
        tf.compat.v1.Event.FromString(record.numpy())
        for file in files
        for record in tf.data.TFRecordDataset(str(file))
    ]
    found = {
        event.step: tf.make_ndarray(value.tensor)
        for event in events
        for value in event.summary.value
        if value.tag == "epoch_auc"
    }
    assert [found[epoch] for epoch in range(4)] == pytest.approx(
        [epoch["val_auc"] for epoch in uninterrupted[1][:4]], abs=1e-5
    )


ASKED = {
    "recipe": {"seed": 1, "phases": [{"epochs": 2}]},
    "data": "ab",
    "contents": {"lesions": "1"},
}


@pytest.fixture
def used(tmp_path: Path) -> RunFolder:
    """Something was trained here."""
    run = RunFolder(tmp_path)
    resume.begin(run, ASKED)
    run.stage().root.mkdir()
    run.stage().state.touch()
    return run


def test_same_command_goes_on_in_its_folder(used: RunFolder) -> None:
    resume.begin(used, {**ASKED, "recipe": {"seed": 1, "phases": ({"epochs": 2},)}})
    assert used.stage().state.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"contents": {"lesions": "2"}}, "contents.lesions '1', expected '2'"),
        (
            {"data": "cd"},
            r"holds another training: data 'ab', expected 'cd'\. Take another --out, or --restart",
        ),
        (
            {"recipe": {"seed": 1, "phases": [{"epochs": 3}]}},
            "recipe.phases.0.epochs 2, expected 3",
        ),
        (
            {"recipe": {"seed": 2, "phases": []}},
            "recipe.seed 1, expected 2; recipe.phases.0.epochs 2, expected None",
        ),
    ],
)
def test_another_training_in_a_used_folder_is_refused(
    used: RunFolder, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainError, match=message):
        resume.begin(used, {**ASKED, **change})


def test_folder_begun_before_contents_were_noted_goes_on(used: RunFolder) -> None:
    used.started.write_text(
        json.dumps({name: value for name, value in ASKED.items() if name != "contents"})
    )
    resume.begin(used, ASKED)
    assert used.stage().state.exists()


def test_restart_forgets_what_was_trained_and_keeps_prepared_images(used: RunFolder) -> None:
    used.cache.mkdir()
    used.evaluation.mkdir()
    for old in (used.notes, used.exported, used.metrics):
        old.touch()
    resume.forget(used)
    resume.begin(used, {**ASKED, "data": "cd"})
    assert not used.stage().state.exists()
    assert not any(old.exists() for old in (used.notes, used.exported, used.metrics))
    assert used.cache.exists()
    assert json.loads(used.started.read_text())["data"] == "cd"


def test_command_that_never_finished_an_epoch_leaves_its_folder_free(tmp_path: Path) -> None:
    resume.begin(RunFolder(tmp_path), ASKED)
    resume.begin(RunFolder(tmp_path), {**ASKED, "data": "cd"})
    assert json.loads(RunFolder(tmp_path).started.read_text())["data"] == "cd"


def test_killed_fit_goes_on_and_gives_the_weights_of_one_that_was_not(
    tiny: Tiny,
    tiny_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a kill after the first epoch leaves is what the disk holds at that moment."""
    out, killed = tmp_path / "out", tmp_path / "killed"
    command = ["fit", str(tiny.recipe), "--data", str(tiny.data), "--weights", str(tiny_weights)]
    save = checkpoint.save

    def save_and_end(*arguments: Any) -> None:  # noqa: ANN401 - those of `checkpoint.save`
        save(*arguments)
        shutil.copytree(out, killed)
        raise Interrupted

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_and_end)
        with pytest.raises(Interrupted):
            cli.main([*command, "--out", str(out)])
    run = RunFolder(killed)
    assert not run.notes.exists()
    command += ["--out", str(killed)]
    assert cli.main(command) == 0
    assert "going on after epoch 1 of 2" in capsys.readouterr().err
    weights = [
        keras.models.load_model(path, compile=False).get_weights()
        for path in (run.model, tiny.run.model)
    ]
    assert all(np.array_equal(found, expected) for found, expected in zip(*weights, strict=True))
    assert cli.main([*command, "--seed", "9"]) == 1
    assert "recipe.seed 1, expected 9" in capsys.readouterr().err
