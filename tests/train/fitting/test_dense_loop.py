"""The dense training: batches by seed and step, and checkpoints that change nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from tests.support.dense import DENSE, RECIPE
from tests.support.films_drawn import film, lesion, prepared
from train.data.films import Prepared
from train.errors import DataError, TrainError
from train.fitting import checkpoint, dense_loop, dense_loss, dense_network, loop
from train.fitting.dense_loop import Batches
from train.fitting.dense_network import Network
from train.run_folder import RunFolder, Stage


class Interrupted(Exception):
    """Stands for whatever ends a process."""


def drawn(count: int = 6) -> Prepared:
    """Films with a bright mass; those of odd number are malignant and brighter."""
    generator = np.random.default_rng(0)
    images = generator.uniform(0.2, 0.4, (count, 96, 64))
    films = []
    for number in range(count):
        x, y = int(generator.integers(4, 40)), int(generator.integers(4, 70))
        images[number, y : y + 20, x : x + 20] = 0.7 + 0.3 * (number % 2)
        box = lesion(x, y, x + 20, y + 20, malignant=bool(number % 2))
        films.append(film(number, malignant=bool(number % 2), lesions=(box,)))
    return prepared(films, images)


@dataclass
class Toy:
    """One network for all trainings, each from the same start."""

    network: Network
    start: list[NDArray[Any]]

    def train(self, stage: Stage) -> list[NDArray[Any]]:
        for variable, value in zip(self.network.whole.variables, self.start, strict=True):
            variable.assign(value)
        dense_loop.train(self.network, drawn(), RECIPE, DENSE, stage)
        return [np.asarray(variable) for variable in self.network.whole.variables]


@pytest.fixture(scope="module")
def toy() -> Toy:
    loop.make_deterministic(3)
    network = dense_network.build(RECIPE, DENSE, "none")
    return Toy(network, [np.asarray(variable) for variable in network.whole.variables])


@pytest.fixture(scope="module")
def finished(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that was not interrupted."""
    root = tmp_path_factory.mktemp("whole")
    np.savez(root / "weights.npz", *toy.train(RunFolder(root).stage()))
    return root


def weights_in(finished: Path) -> list[NDArray[Any]]:
    with np.load(finished / "weights.npz") as arrays:
        return [arrays[name] for name in arrays.files]


def failing_after(saves: int) -> Callable[..., None]:
    """Saves as often as told, then fails."""
    save = checkpoint.save
    done: list[None] = []

    def save_or_fail(*arguments: Any) -> None:  # noqa: ANN401 - those of `checkpoint.save`
        if len(done) == saves:
            raise Interrupted
        done.append(None)
        save(*arguments)

    return save_or_fail


def test_interrupted_training_ends_with_the_weights_of_one_that_was_not(
    toy: Toy, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = RunFolder(tmp_path).stage()
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", failing_after(1))
        with pytest.raises(Interrupted):
            toy.train(stage)
    for found, expected in zip(toy.train(stage), weights_in(finished), strict=True):
        assert np.array_equal(found, expected)


def test_finished_training_is_not_trained_again(
    toy: Toy, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Batches, "batch", lambda *_: pytest.fail("a batch was made"))
    again = toy.train(RunFolder(finished).stage())
    for found, expected in zip(again, weights_in(finished), strict=True):
        assert np.array_equal(found, expected)


def test_training_learns_where_the_masses_are(finished: Path) -> None:
    saved = checkpoint.load(RunFolder(finished).stage().state)
    assert saved
    epochs = saved.progress.epochs
    assert [epoch["epoch"] for epoch in epochs] == [6, 12]
    assert epochs[1]["lesion"] < epochs[0]["lesion"]


def test_checkpoint_of_another_network_is_refused(toy: Toy, tmp_path: Path) -> None:
    stage = RunFolder(tmp_path).stage()
    stage.root.mkdir(parents=True)
    checkpoint.save(stage.state, checkpoint.Progress(), [keras.Variable(np.zeros(3))])
    with pytest.raises(TrainError, match="1 variables of another network"):
        toy.train(stage)


def test_batch_depends_on_seed_and_step_alone() -> None:
    one, two = (Batches(drawn(), RECIPE, DENSE) for _ in range(2))
    later = next(iter(one.from_step(5)))
    again = two.batch(5)
    assert np.array_equal(later.images, again.images)
    assert np.array_equal(later.cells, again.cells)
    other = Batches(drawn(), replace(RECIPE, seed=2), DENSE).batch(5)
    assert not np.array_equal(other.images, again.images)


def test_films_without_lesion_boxes_are_refused() -> None:
    films = prepared([film(0, malignant=True)], np.ones((1, 96, 64)))
    with pytest.raises(DataError, match=r"no lesion box in 1 films, expected an index with"):
        Batches(films, RECIPE, DENSE)


def test_rate_climbs_then_falls_to_almost_nothing() -> None:
    how = replace(DENSE, steps=1000, warmup_steps=100)
    rates = [dense_loop.rate(step, how) for step in (1, 50, 100, 500, 1000)]
    assert rates[0] == pytest.approx(0.01, abs=1e-4)
    assert rates[1] < rates[2] > rates[3] > rates[4]
    assert rates[4] == pytest.approx(dense_loop.FINAL_SHARE)


def maps(value: float) -> tf.Tensor:
    return tf.fill((1, 4, 4, 1), value)


def cells(kind: int) -> tf.Tensor:
    """One cell of lesion: malignant (1) or benign (2); the others are background."""
    found = np.zeros((1, 4, 4, 4), np.float32)
    found[0, :, :, 3] = 1
    found[0, 1, 1] = 0
    found[0, 1, 1, [0, kind]] = 1
    return tf.constant(found)


def test_loss_is_less_where_the_map_is_right() -> None:
    right = np.full((1, 4, 4, 1), -4, np.float32)
    right[0, 1, 1] = 4
    label = tf.constant([1.0])
    good = dense_loss.loss(tf.constant(right), tf.constant(right), maps(2.0), cells(1), label)
    bad = dense_loss.loss(maps(4.0), maps(-4.0), maps(-2.0), cells(1), label)
    assert float(good.lesion) < float(bad.lesion)
    assert float(good.malignant) < float(bad.malignant)
    assert float(good.piece) < float(bad.piece)
    benign = dense_loss.loss(
        tf.constant(right), tf.constant(right), maps(2.0), cells(2), tf.constant([0.0])
    )
    assert float(benign.malignant) > float(good.malignant)


def test_loss_is_finite_for_any_logit() -> None:
    found = dense_loss.loss(maps(-200.0), maps(200.0), maps(200.0), cells(2), tf.constant([0.0]))
    assert np.isfinite(float(found.total))


def test_score_is_the_mean_of_the_highest_cells() -> None:
    values = tf.reshape(tf.range(16.0), (1, 4, 4, 1))
    assert float(dense_loss.score(values)[0]) == 14
