"""
Training of the dense network, step by step.

Every batch depends on seed and step alone, and a checkpoint holds all that the next step depends
on: an interrupted training ends with the same weights, to the bit, as one that was not. There is no
epoch to choose: what is kept is the moving average of the weights at the end of one cosine.
"""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.data.films import Prepared
from train.errors import DataError
from train.fitting import checkpoint, devices, objectives, opinions, pieces
from train.fitting.checkpoint import Progress
from train.fitting.dense_network import DROPOUT, Network
from train.fitting.film_order import Order
from train.fitting.flat_adamw import FlatAdamW
from train.fitting.objectives import Objective
from train.progress import say
from train.recipe import Dense, Recipe
from train.run_folder import Stage

FINAL_SHARE: Final = 0.02
"""End of the cosine, as a share of the learning rate."""
AHEAD: Final = 4
"""Batches made while the network is busy."""
TOLD_EVERY: Final = 100


@dataclass(frozen=True, slots=True)
class Batch:
    """Some pieces, as arrays."""

    images: NDArray[np.uint8]
    """Shape (batch, height, width)."""
    cells: NDArray[np.float32]
    """Shape (batch, rows, columns, 4), as `Targets.stacked`."""
    labels: NDArray[np.float32]
    """Shape (batch,)."""

    def tensors(self) -> Iterator[tf.Tensor]:
        """All three."""
        return map(tf.constant, (self.images, self.cells, self.labels))


class Batches:
    """
    The batches of a training, each a function of the seed and its step.

    Args:
        films: to learn from.
        recipe: batch size and seed.
        how: size and choice of the pieces.

    Raises:
        DataError: no film has a lesion box.
    """

    def __init__(self, films: Prepared, recipe: Recipe, how: Dense) -> None:
        self._films, self._recipe, self._how = films, recipe, how
        told = opinions.of_reader(films.films) if how.reader else ((),) * len(films.films)
        self._marks = [
            pieces.known_lesions(films, number, told[number], how.reader)
            for number in range(len(films.films))
        ]
        if not any(self._marks):
            msg = (
                f"no lesion box in {len(films.films)} films, expected an index with "
                "<name>-lesions.csv beside it, or CBIS-DDSM with its masks"
            )
            raise DataError(msg)
        mass = [any(mark.mass for mark in marks or ()) for marks in self._marks]
        self._order = Order(films, np.array(mass), how, recipe.seed)

    def from_step(self, first: int) -> Iterator[Batch]:
        """Batches without end, some of them made ahead in a thread."""
        with ThreadPoolExecutor(1) as pool:
            waiting = [pool.submit(self.batch, first + step) for step in range(AHEAD)]
            for step in count(first + AHEAD):
                yield waiting.pop(0).result()
                waiting.append(pool.submit(self.batch, step))

    def batch(self, step: int) -> Batch:
        """The batch of a step, from 0."""
        size, seed = self._recipe.batch_size, self._recipe.seed
        found = [
            self._piece(
                self._order.film(step * size + place), np.random.default_rng([seed, step, place])
            )
            for place in range(size)
        ]
        return Batch(
            np.stack([piece.picture for piece in found]),
            np.stack([piece.targets.stacked() for piece in found]),
            np.array([piece.malignant for piece in found], np.float32),
        )

    def _piece(self, number: int, generator: np.random.Generator) -> pieces.Piece:
        films = self._films
        return pieces.cut(
            films.images[number],
            self._marks[number],
            float(films.films[number].malignant),
            self._how,
            generator,
        )


def train(  # noqa: PLR0913, PLR0917 - a network, the films, three ways to say how
    network: Network,
    learn: Prepared,
    recipe: Recipe,
    how: Dense,
    stage: Stage,
    objective: Objective | None = None,
) -> dict[str, Any]:
    """
    Train, or go on after the last checkpoint of this stage's folder.

    Args:
        network: as `dense_network.build` gives it; it ends with the averaged weights.
        learn: the training films.
        recipe: batch size and seed.
        how: everything else.
        stage: takes the checkpoints.
        objective: measures what is wrong with the answers; the films' boxes and labels unless told
            otherwise.

    Returns:
        Loss by its parts and duration, over every hundred steps.

    Raises:
        DataError: the films come without lesion boxes.
        TrainError: the folder's checkpoint is not one of this training.
    """
    stage.root.mkdir(parents=True, exist_ok=True)
    batches, adamw = Batches(learn, recipe, how), _adamw(network, how)
    generators = network.pieces.get_layer(DROPOUT).non_trainable_variables
    state = [*adamw.variables, *generators]
    saved = checkpoint.load(stage.state)
    progress = saved.progress if saved else Progress()
    if saved:
        saved.restore(state)
        say(f"going on after step {adamw.done.numpy():.0f} of {how.steps} ({stage.root})")
    measure = objective or objectives.boxes(network)
    step, told = tf.function(_step(network, adamw, how, measure)), _Told(progress, how.steps)
    done = int(adamw.done.numpy())
    for number, batch in zip(range(done + 1, how.steps + 1), batches.from_step(done), strict=False):
        told.note(number, step(*batch.tensors(), tf.constant(rate(number, how))))
        if number % how.keep_every == 0 or number == how.steps:
            told.close()
            if devices.keeps_files():
                checkpoint.save(stage.state, progress, state)
    adamw.settle()
    return {**progress.history(), "chosen_by": "the last step", "best_epoch": how.steps}


def rate(step: int, how: Dense) -> float:
    """Share of the learning rate at a step, from 1: up in a line, down along a cosine."""
    falling = 0.5 + 0.5 * math.cos(math.pi * step / how.steps)
    return min(1.0, step / max(1, how.warmup_steps)) * (FINAL_SHARE + (1 - FINAL_SHARE) * falling)


@dataclass(slots=True)
class _Told:
    """Keeps the mean of each part of the loss over some steps."""

    progress: Progress
    steps: int
    parts: list[NDArray[np.float32]] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)
    step: int = 0

    def note(self, step: int, parts: tf.Tensor) -> None:
        self.parts.append(np.asarray(parts))
        self.step = step
        if len(self.parts) == TOLD_EVERY:
            self.close()

    def close(self) -> None:
        if not self.parts:
            return
        lesion, malignant, piece = (round(float(part), 4) for part in np.mean(self.parts, axis=0))
        seconds = round(time.monotonic() - self.since, 1)
        numbers = {"lesion": lesion, "malignant": malignant, "piece": piece}
        total = {"phase": "dense", "seconds": seconds, "loss": lesion + malignant + piece}
        self.progress.epochs.append({"epoch": self.step, **total, **numbers})
        say(f"step {self.step} of {self.steps}: {seconds:g} s, loss {numbers}")
        self.parts, self.since = [], time.monotonic()


def _adamw(network: Network, how: Dense) -> FlatAdamW:
    network.freeze(how.frozen_blocks)
    base, head = (
        [weight for layer in layers for weight in layer.trainable_weights]
        for layers in (network.base, network.head)
    )
    groups = [(base, how.learning_rate), (head, how.head_learning_rate)]
    return FlatAdamW.of(groups, how.weight_decay, how.ema)


def _step(
    network: Network, adamw: FlatAdamW, how: Dense, measure: Objective
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]:
    """A function that learns from one batch and gives the parts of its loss, shape (3,)."""
    channels = network.pieces.input_shape[-1]

    def step(images: tf.Tensor, cells: tf.Tensor, labels: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        scaled = tf.cast(images, tf.float32)[..., None] / 127.5 - 1.0
        with tf.GradientTape() as tape:
            parts = measure(tf.repeat(scaled, channels, axis=-1), cells, labels)
            total = parts.total
        # An imitation leaves the head of `lesion` alone, which no exported file has.
        found = tape.gradient(
            total,
            [weight.value for weight in adamw.weights],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        clipped, _ = tf.clip_by_global_norm(found, how.clip_norm)
        adamw.apply(clipped, share)
        return tf.stack([parts.lesion, parts.malignant, parts.piece])

    return step
