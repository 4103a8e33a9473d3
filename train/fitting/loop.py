"""
The training loop: phase after phase, every epoch noted and kept.

An interrupted training goes on after its last finished epoch.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import expit

from edge.inference.engine.pooling import cells_inside, pooled
from train.data.films import Prepared
from train.fitting import batch_order, batches, checkpoint, devices, network, optimizer
from train.fitting.checkpoint import Progress, Saved
from train.progress import say
from train.recipe import Phase, Recipe
from train.run_folder import Stage

Pictures: TypeAlias = tuple[NDArray[np.float16], NDArray[np.float32]]
"""The images, shape (n, height, width), and their labels, shape (n,)."""


@dataclass(frozen=True, slots=True)
class Data:
    """The data that a network is trained on."""

    training: Callable[[int], tf.data.Dataset]
    """
    A function from an epoch to endless batches (images, labels) from there on.

    The batches depend on seed and epoch only.
    """
    steps: int
    """The number of batches an epoch."""
    validation: tf.data.Dataset
    """One pass over the validation images, the same each time."""

    @classmethod
    def of(cls, learn: Pictures, check: Pictures, recipe: Recipe) -> "Data":
        """
        Take pictures and labels to train on, and those of the validation patients.

        To be called inside the scope of the devices.
        """
        validation = batches.scoring(*check, recipe)
        if tf.distribute.get_strategy().num_replicas_in_sync > 1:
            validation = filled(validation, recipe.batch_size, len(check[1]))
        return cls(
            lambda epoch: batches.training(*learn, recipe, epoch),
            batch_order.steps(len(learn[1]), recipe.batch_size),
            validation,
        )


def make_deterministic(seed: int) -> None:
    """Make the same seed give the same scores on the same machine."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train(
    model: keras.Model, data: Data, phases: tuple[Phase, ...], stage: Stage
) -> dict[str, Any]:
    """
    Go through the phases, or go on after the last epoch that was finished in this stage's folder.

    An interrupted training ends with the same weights, to the bit, as one that was not.

    Args:
        model: as `network.build` gives it; it ends with the weights of the epoch with the highest
            validation AUC.
        data: images to train on, and those that choose the epoch.
        phases: one after the other; each begins with the weights the one before ended with.
        stage: takes the checkpoints and the TensorBoard logs.

    Returns:
        The best epoch, and of each epoch its phase, its duration and every number Keras reported.

    Raises:
        TrainError: the folder's checkpoint is not one of this training.
    """
    stage.root.mkdir(parents=True, exist_ok=True)
    saved = checkpoint.load(stage.state)
    progress = saved.progress if saved else Progress()
    if saved:
        say(
            f"going on after epoch {len(progress.epochs)} of "
            f"{sum(phase.epochs for phase in phases)} ({stage.root})"
        )
    classifier = devices.classifier(network.classifier(model))
    interrupted, last = progress.phase, sum(phase.epochs for phase in phases)
    for number, phase in enumerate(phases):
        if number >= interrupted and len(progress.epochs) < last:
            network.train_base(model, trainable=phase.train_base)
            optimizer.compile_for(classifier, phase, data.steps)
            progress.phase = number
            # After the last epoch of a phase this trains nothing more, but still ends the phase as
            # Keras ends it.
            _restore(classifier, saved if number == interrupted else None)
            _fit(
                classifier, data, phases[: number + 1], _EpochKeeper(model, stage, progress, phase)
            )
    devices.wait_for_all()
    model.load_weights(stage.best)
    return progress.history()


def probabilities(
    model: keras.Model, films: Prepared, recipe: Recipe
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Give the raw probability of malignancy of each film, shape (n,), as the engine pools it."""
    outputs = model.predict(batches.scoring(films.images, films.labels, recipe), verbose=0)
    if network.pooling(model) == "mean":
        return np.asarray(outputs[network.PROBABILITY], dtype=np.float64)[:, 0]
    maps = outputs[network.LOGIT_MAP][..., 0]
    # A cached image is black where it is 0, whatever the recipe's range.
    logits = [
        pooled(cells, "max", cells_inside(image[None, ..., None], cells.shape, 0.0))
        for cells, image in zip(maps, films.images, strict=True)
    ]
    return np.asarray(expit(logits), dtype=np.float64)


def filled(data: tf.data.Dataset, size: int, films: int) -> tf.data.Dataset:
    """
    Fill the last batch of (images, labels, weights) up with copies that weigh nothing.

    Each of several devices then has a share; with an empty one TensorFlow's matrix product fails,
    with uneven ones Keras does.
    """
    # Keras divides by the number of images, not by their weight.
    weight = batch_order.steps(films, size) * size / films

    def fill(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        places = tf.range(size)
        rows = places % tf.shape(labels)[0]
        return (
            tf.gather(images, rows),
            tf.gather(labels, rows),
            tf.where(places < tf.shape(labels)[0], weight, 0.0),
        )

    return data.map(fill)


def _variables(classifier: keras.Model) -> list[keras.Variable]:
    """List all that the next step depends on: weights, random generators, optimizer."""
    return [*classifier.variables, *classifier.optimizer.variables]


def _restore(classifier: keras.Model, saved: Saved | None) -> None:
    classifier.optimizer.build(classifier.trainable_variables)
    if saved:
        saved.restore(_variables(classifier))


def _fit(
    classifier: keras.Model, data: Data, phases: tuple[Phase, ...], epochs: "_EpochKeeper"
) -> None:
    """Train the last of these phases, or what is left of it."""
    done, end = len(epochs.progress.epochs), sum(phase.epochs for phase in phases)
    if done < end:
        say(
            f"phase {phases[-1].name}: epochs {done + 1} to {end} at learning rate "
            f"{phases[-1].learning_rate:g}, {data.steps} batches each"
        )
    classifier.fit(
        devices.shared_out(data.training(done)),
        steps_per_epoch=data.steps,
        validation_data=devices.shared_out(data.validation),
        initial_epoch=done,
        epochs=end,
        callbacks=epochs.all(),
        shuffle=False,  # the data set does it
        verbose=1 if sys.stderr.isatty() else 2,
    )


class _EpochKeeper(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """A callback that notes every epoch of a phase, and keeps the best weights and the state."""

    def __init__(self, whole: keras.Model, stage: Stage, progress: Progress, phase: Phase) -> None:
        super().__init__()
        self._whole = whole
        self._stage = stage
        self.progress = progress
        self._phase = phase
        self._average = keras.callbacks.SwapEMAWeights() if phase.ema is not None else None
        self._start = 0.0

    def all(self) -> list[keras.callbacks.Callback]:
        """
        List this callback and its helpers: averaged weights are scored, TensorBoard is told.
        """
        board = (
            keras.callbacks.TensorBoard(self._stage.logs, write_graph=False)
            if devices.keeps_files()
            else None
        )
        return [*filter(None, [self._average, board]), self]

    # Keras passes both by name.
    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Start the clock."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """
        Keep Keras's numbers and the weights.

        The checkpoint comes last, so that an epoch counts when all of it is kept.
        """
        numbers = {name: round(float(value), 5) for name, value in (logs or {}).items()}
        seconds = round(time.monotonic() - self._start, 1)
        progress = self.progress
        progress.epochs.append(
            {"epoch": epoch + 1, "phase": self._phase.name, "seconds": seconds, **numbers}
        )
        if numbers["val_auc"] > progress.best_auc:
            progress.best_auc, progress.best_epoch = numbers["val_auc"], epoch + 1
            self._keep_weights()
        if devices.keeps_files():
            checkpoint.save(self._stage.state, progress, _variables(self.model))

    def _keep_weights(self) -> None:
        if self._average:
            self._average.on_test_begin()
        if devices.keeps_files():
            part = self._stage.best.with_name(f"part.{self._stage.best.name}")
            self._whole.save_weights(part)
            part.replace(self._stage.best)
        if self._average:
            self._average.on_test_end()
