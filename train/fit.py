"""`mammo-train fit`: train a recipe on a data set, and keep the epoch that was best on validation patients."""

import platform
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from train import batches, datasets, network, split
from train.datasets import SIDES, Film, Index, Side
from train.prepare import Prepared, prepared
from train.progress import say
from train.recipe import Phase, Recipe
from train.run_folder import RunFolder, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for."""

    recipe: Recipe
    data: Path
    weights: str
    """`imagenet`, `none` or a file."""
    command: str
    """As typed, for the notebook of the run."""


def fit(request: Request, run: RunFolder) -> None:
    """
    Train and write `model.keras`, `history.json`, `split.csv` and `run.json` into the run's folder.

    Raises:
        DataError: the data set is not usable.
        TrainError: the weights are not.
    """
    start = time.monotonic()
    recipe = request.recipe
    make_deterministic(recipe.seed)
    model = network.build(recipe, request.weights)
    index = datasets.load(request.data)
    sides = split.assign(index, recipe.fractions, recipe.seed)
    films = prepared(index, recipe.input, run.cache)
    say_split(sides)
    train_start = time.monotonic()
    history = train(model, films, sides, recipe, run)
    write_split(run.split, sides)
    times = {"prepare_s": round(train_start - start, 1), "train_s": round(time.monotonic() - train_start, 1)}
    write_json(run.notes, notes(request, index, sides, films, times))
    write_json(run.history, history)
    say(f"trained in {times['train_s']} s: {run.model}")


def make_deterministic(seed: int) -> None:
    """Same seed, same machine, same scores."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def train(model: keras.Model, films: Prepared, sides: Mapping[Side, tuple[Film, ...]], recipe: Recipe, run: RunFolder) -> dict[str, Any]:
    """
    Go through the recipe's phases and save the best epoch's network.

    Best is the highest validation AUC. Every epoch leaves a checkpoint.

    Returns:
        One list of epochs, each with its phase, its duration and every number Keras reported.
    """
    learn, check = (films.of(sides[side]) for side in ("train", "validation"))
    data = batches.training(learn.images, learn.labels, recipe)
    validation = batches.scoring(check.images, check.labels, recipe)
    steps = -(-len(learn.films) // recipe.batch_size)
    classifier = network.classifier(model)
    run.best.parent.mkdir(parents=True, exist_ok=True)
    epochs = _Epochs(model, run)
    done = 0
    for phase in recipe.phases:
        say(f"phase {phase.name}: {phase.epochs} epochs at learning rate {phase.learning_rate:g}, {len(learn.films)} images")
        network.train_base(model, trainable=phase.train_base)
        _compile(classifier, phase, steps)
        epochs.phase = phase.name
        classifier.fit(
            data,
            validation_data=validation,
            initial_epoch=done,
            epochs=done + phase.epochs,
            callbacks=[epochs],
            shuffle=False,
            verbose=1 if sys.stderr.isatty() else 2,
        )
        done += phase.epochs
    model.load_weights(run.best)
    model.save(run.model)
    return {"chosen_by": "val_auc", "best_epoch": epochs.best_epoch, "epochs": epochs.epochs}


def probabilities(model: keras.Model, films: Prepared, recipe: Recipe) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Raw probability of malignancy of each film, shape (n,)."""
    outputs = model.predict(batches.scoring(films.images, films.labels, recipe), verbose=0)
    return np.asarray(outputs[network.PROBABILITY], dtype=np.float64)[:, 0]


def say_split(sides: Mapping[Side, tuple[Film, ...]]) -> None:
    """Print how many images and patients stand where."""
    for side in SIDES:
        say("{side}: {images} images ({malignant} malignant) of {patients} patients".format(side=side, **counts(sides[side])))


def counts(films: tuple[Film, ...]) -> dict[str, int]:
    """Images, malignant images and patients among some films."""
    return {
        "images": len(films),
        "malignant": sum(film.malignant for film in films),
        "patients": len({film.patient for film in films}),
    }


def notes(
    request: Request, index: Index, sides: Mapping[Side, tuple[Film, ...]], films: Prepared, times: Mapping[str, float]
) -> dict[str, Any]:
    """What another person needs to do it again."""
    return {
        "command": request.command,
        "recipe": asdict(request.recipe),
        "data": str(request.data),
        "index_fingerprint": index.fingerprint,
        "weights": request.weights,
        "split": {side: counts(sides[side]) for side in SIDES},
        "refused": films.refused,
        "times": times,
        "versions": {"python": platform.python_version(), "tensorflow": tf.__version__, "keras": keras.__version__},
    }


def write_split(path: Path, sides: Mapping[Side, tuple[Film, ...]]) -> None:
    """Write who stood where, as an index of its own (path, label, patient, split)."""
    lines = [f"{film.name},{film.label},{film.patient},{side}" for side in SIDES for film in sides[side]]
    path.write_text("\n".join(["path,label,patient,split", *lines]) + "\n")


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
