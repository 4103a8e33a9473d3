"""Network, augmentation and training."""

import csv
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.support.tiny import Tiny
from train import cli, recipes
from train.data import datasets
from train.errors import DataError, TrainError
from train.fitting import batches, finished_run, fit, loop, network
from train.fitting.augment import augment
from train.recipe import Augment, Recipe
from train.run_folder import RunFolder

NO_CHANGE = Augment(rotation_deg=0, zoom=0, flip_horizontal=False, flip_vertical=False)


@pytest.fixture
def small(tiny_recipe: Path) -> Recipe:
    return recipes.load(str(tiny_recipe))


def picture() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).random((4, 33, 33, 1), dtype=np.float32)


def test_no_augmentation_changes_nothing() -> None:
    assert np.abs(augment(picture(), tf.constant([1, 2]), NO_CHANGE) - picture()).max() < 1e-6


def test_flip_alone_gives_the_picture_or_its_mirror_image() -> None:
    images = np.repeat(picture()[:1], 32, axis=0)
    changed = augment(images, tf.constant([1, 2]), replace(NO_CHANGE, flip_horizontal=True)).numpy()
    mirrored = np.abs(changed - images[:, :, ::-1]).max(axis=(1, 2, 3)) < 1e-5
    same = np.abs(changed - images).max(axis=(1, 2, 3)) < 1e-5
    assert np.all(mirrored ^ same)
    assert 0 < mirrored.sum() < 32


def test_rotation_keeps_the_centre_and_zoom_keeps_the_range() -> None:
    images = np.zeros((8, 33, 33, 1), np.float32)
    images[:, 16, 16] = 1
    changed = augment(
        images,
        tf.constant([1, 2]),
        Augment(rotation_deg=45, zoom=0.1, flip_horizontal=True, flip_vertical=True),
    ).numpy()
    assert np.all(changed[:, 16, 16] > 0.99)
    assert changed.max() <= 1


def test_batches_differ_between_epochs_and_repeat_with_the_seed(small: Recipe) -> None:
    images, labels = picture()[:, :, :, 0].astype(np.float16), np.array([0, 1, 0, 1], np.float32)
    first, again = (batches.training(images, labels, small).take(2) for _ in range(2))
    one, two = [batch.numpy() for batch, _ in first]
    assert np.abs(one - two).max() > 0.1
    assert np.array_equal(one, next(iter(again))[0].numpy())


def test_an_epoch_is_the_same_whether_or_not_those_before_it_were_seen(small: Recipe) -> None:
    images, labels = picture()[:, :, :, 0].astype(np.float16), np.array([0, 1, 0, 1], np.float32)
    third, skipped = (
        batches.training(images, labels, small).skip(2),
        batches.training(images, labels, small, first_epoch=2),
    )
    assert np.array_equal(next(iter(third))[0].numpy(), next(iter(skipped))[0].numpy())


def test_logit_is_the_mean_of_its_map(small: Recipe) -> None:
    outputs = network.build(small, "none").predict(
        np.random.default_rng(0).random((2, 64, 64, 3)), verbose=0
    )
    logit = outputs[network.LOGIT_MAP].mean(axis=(1, 2, 3))
    assert outputs[network.PROBABILITY][:, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-6)


def test_frozen_base_leaves_only_the_head_and_batch_norm_never_moves(small: Recipe) -> None:
    model = network.build(small, "none")
    network.train_base(model, trainable=False)
    assert len(model.trainable_weights) == 4
    network.train_base(model, trainable=True)
    assert len(model.trainable_weights) > 4 + 10
    assert not any(
        "gamma" in weight.name or "beta" in weight.name for weight in model.trainable_weights
    )


def test_missing_weights_file_is_named(small: Recipe) -> None:
    with pytest.raises(
        TrainError, match=r"--weights: nowhere\.h5 is neither a file nor imagenet nor none"
    ):
        network.build(small, "nowhere.h5")


def test_weights_of_something_else_are_refused(small: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(path)
    with pytest.raises(TrainError, match="does not fit; expected MobileNetV2"):
        network.build(small, str(path))


def test_without_a_network_the_message_names_the_option(
    small: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(**_: object) -> None:
        msg = (
            "URL fetch failure on https://storage.googleapis.com: None -- "
            "[Errno -3] Temporary failure in name resolution"
        )
        raise Exception(msg)  # noqa: TRY002 - what Keras raises

    monkeypatch.setattr(keras.applications, "MobileNetV2", offline)
    with pytest.raises(TrainError, match=r"URL fetch failure .*--weights FILE"):
        network.build(small, "imagenet")


def test_same_seed_gives_the_same_scores(
    small: Recipe, tiny_weights: Path, films: Path, tmp_path: Path
) -> None:
    short = replace(small, phases=small.phases[:1])

    def scores(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        run = RunFolder(tmp_path / name)
        fit.fit(
            fit.Request(recipe=short, data=films, weights=str(tiny_weights), command="test"), run
        )
        done = finished_run.reopen(run, None)
        return loop.probabilities(done.model, done.films, short)

    first = scores("one")
    assert len(set(first.round(4))) > 1
    assert np.array_equal(first, scores("two"))


def test_run_leaves_a_checkpoint_and_a_note_of_every_epoch(tiny: Tiny) -> None:
    history = json.loads(tiny.run.history.read_text())
    assert [epoch["phase"] for epoch in history["epochs"]] == ["head", "fine-tune"]
    assert {"loss", "auc", "val_loss", "val_auc", "seconds"} <= set(history["epochs"][0])
    assert tiny.run.stage().best.exists()
    assert tiny.run.stage().state.exists()


def test_written_split_has_every_patient_on_one_side(tiny: Tiny) -> None:
    sides = defaultdict(set)
    with tiny.run.split.open() as file:
        for row in csv.DictReader(file):
            sides[row["patient"]].add(row["split"])
    assert len(sides) == 12
    assert all(len(side) == 1 for side in sides.values())


def test_run_is_not_reopened_on_other_data(tiny: Tiny, films: Path) -> None:
    with pytest.raises(DataError, match=r"20 images, not the index that .* was trained on"):
        finished_run.reopen(tiny.run, films)


def test_unfinished_run_is_said_with_the_command_to_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", str(tmp_path)]) == 1
    assert "run.json is not there; run `mammo-train fit RECIPE" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("whole_network")
def test_head_on_real_weights_learns_from_real_films(
    shared: Path, small: Recipe, tmp_path: Path
) -> None:
    weights = next((shared / "weights").glob("*_1.0_224_no_top.h5"))
    index = datasets.load(shared / "data" / "cbis-ddsm" / "mass-800.csv")
    films = tmp_path / "few.csv"
    chosen = index.films[:200]
    lines = [f"{film.path},{film.label},{film.patient}" for film in chosen]
    films.write_text("\n".join(["path,label,patient", *lines]))
    head = replace(small, alpha=1.0, batch_size=16, phases=(replace(small.phases[0], epochs=4),))
    run = RunFolder(tmp_path / "run")
    fit.fit(fit.Request(recipe=head, data=films, weights=str(weights), command="test"), run)
    epochs = json.loads(run.history.read_text())["epochs"]
    assert epochs[-1]["loss"] < epochs[0]["loss"]
    assert max(epoch["auc"] for epoch in epochs[1:]) > max(epochs[0]["auc"], 0.5)
