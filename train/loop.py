"""The training loop: phase after phase, every epoch noted and kept."""

import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from train import batches, network
from train.films import Prepared
from train.progress import say
from train.recipe import Phase, Recipe
from train.run_folder import RunFolder


def make_deterministic(seed: int) -> None:
    """Same seed, same machine, same scores."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train(model: keras.Model, learn: Prepared, check: Prepared, recipe: Recipe, run: RunFolder) -> dict[str, Any]:
    """
    Go through the recipe's phases and save the network of the epoch with the highest validation AUC.

    Args:
        model: as `network.build` gives it; it ends with the weights of the best epoch.
        learn: the films to train on.
        check: the films of the validation patients.
        recipe: phases, batch size and augmentation.
        run: takes the checkpoints and `model.keras`.

    Returns:
        The best epoch, and of each epoch its phase, its duration and every number Keras reported.
    """
    run.best.parent.mkdir(parents=True, exist_ok=True)
    data = batches.training(learn.images, learn.labels, recipe), batches.scoring(check.images, check.labels, recipe)
    classifier, epochs = network.classifier(model), _Epochs(model, run)
    for phase in recipe.phases:
        say(f"phase {phase.name}: {phase.epochs} epochs at learning rate {phase.learning_rate:g}, {len(learn.films)} images")
        network.train_base(model, trainable=phase.train_base)
        _compile(classifier, phase, steps=-(-len(learn.films) // recipe.batch_size))
        _fit(classifier, *data, phase, epochs)
    model.load_weights(run.best)
    model.save(run.model)
    return {"chosen_by": "val_auc", "best_epoch": epochs.best_epoch, "epochs": epochs.epochs}


def probabilities(model: keras.Model, films: Prepared, recipe: Recipe) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Raw probability of malignancy of each film, shape (n,)."""
    outputs = model.predict(batches.scoring(films.images, films.labels, recipe), verbose=0)
    return np.asarray(outputs[network.PROBABILITY], dtype=np.float64)[:, 0]


def _compile(classifier: keras.Model, phase: Phase, steps: int) -> None:
    rate = phase.learning_rate
    if phase.decay:
        rate = keras.optimizers.schedules.CosineDecay(rate, decay_steps=steps * phase.epochs, alpha=0.1)
    # XLA, which Keras's "auto" may choose, is an order of magnitude slower on the CPU.
    classifier.compile(
        keras.optimizers.Adam(rate),
        loss="binary_crossentropy",
        metrics=["accuracy", keras.metrics.AUC(num_thresholds=1000, name="auc")],
        jit_compile=False,
    )


def _fit(classifier: keras.Model, data: tf.data.Dataset, validation: tf.data.Dataset, phase: Phase, epochs: "_Epochs") -> None:
    epochs.phase = phase.name
    done = len(epochs.epochs)
    classifier.fit(
        data,
        validation_data=validation,
        initial_epoch=done,
        epochs=done + phase.epochs,
        callbacks=[epochs],
        shuffle=False,  # the data set does it
        verbose=1 if sys.stderr.isatty() else 2,
    )


class _Epochs(keras.callbacks.Callback):  # type: ignore[misc]  # Keras is untyped
    """Notes every epoch of every phase, and keeps the weights of the last and of the best one."""

    def __init__(self, whole: keras.Model, run: RunFolder) -> None:
        super().__init__()
        self.phase = ""
        self.epochs: list[dict[str, Any]] = []
        self.best_epoch = 0
        self._best_auc = -1.0
        self._whole = whole
        self._run = run
        self._start = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002 - Keras calls it so
        """Start the clock."""
        self._start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep Keras's numbers and the weights."""
        numbers = {name: round(float(value), 5) for name, value in (logs or {}).items()}
        seconds = round(time.monotonic() - self._start, 1)
        self.epochs.append({"epoch": epoch + 1, "phase": self.phase, "seconds": seconds, **numbers})
        self._whole.save_weights(self._run.last)
        if numbers["val_auc"] > self._best_auc:
            self._best_auc, self.best_epoch = numbers["val_auc"], epoch + 1
            shutil.copyfile(self._run.last, self._run.best)
