"""A Keras model that was not trained here, made to look like one that was."""

import platform
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from edge.models.bundle import sha256_of
from train.data import datasets, split
from train.data.datasets import Sources
from train.data.index import SIDES
from train.data.prepare import prepared
from train.errors import TrainError
from train.fitting.finished_run import FinishedRun, load_network
from train.fitting.fit import counts
from train.fitting.network import FEATURES, LOGIT_MAP, PROBABILITY
from train.progress import say, warn
from train.recipe import Recipe
from train.run_folder import RunFolder

SAME: Final = 1e-4
"""Largest difference of a probability between a model and its rewritten form."""


def adopt(path: Path, recipe: Recipe, data: Sources, run: RunFolder, command: str) -> FinishedRun:
    """
    Open a Keras model of your own as if `fit` had left it.

    Args:
        path: `.keras` or `.h5`; see `named_outputs` for what it must give.
        recipe: its input, how the data are split, and the operating point.
        data: images for calibration and known answers; a `split` column says which the model was
            trained on.
        run: takes the cache of prepared images.
        command: as typed.

    Raises:
        TrainError: it is no such model, or its input is not the recipe's.
        DataError: the data are not usable.
    """
    model = _checked(load_network(path), recipe, path)
    index = datasets.load(data)
    sides = split.assign(index, recipe.fractions, recipe.seed)
    films = prepared(index, recipe.input, run.cache)
    notes = {
        "command": command,
        "data": [str(source) for source in datasets.paths_of(data)],
        "index_fingerprint": index.fingerprint,
        "model_sha256": sha256_of(path),
        "split": {side: counts(sides[side]) for side in SIDES},
        "times": {},
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }
    return FinishedRun(recipe, notes, sides, films, model)


def named_outputs(model: keras.Model) -> keras.Model:
    """
    Name a model's outputs by what they are.

    A probability, shape (n, 1), must be there. A logit map, (n, rows, columns, 1), and features,
    (n, channels), may be. Where there is a probability alone, and it is a dense layer on averaged
    features, the same numbers are computed as a map and its mean: that gives both. Else there will
    be no heat map, and the input gate has only its limits.

    Raises:
        TrainError: no output is a probability, or two are alike.
    """
    found: dict[str, Any] = {}
    for tensor in keras.tree.flatten(model.output):
        name = _kind(tuple(tensor.shape))
        if name is None or name in found:
            shapes = [tuple(each.shape) for each in keras.tree.flatten(model.output)]
            msg = (
                f"outputs have shapes {shapes}, expected one (None, 1) and at most one "
                "(None, rows, columns, 1) and one (None, channels)"
            )
            raise TrainError(msg)
        found[name] = tensor
    if PROBABILITY not in found:
        msg = (
            "no output of shape (None, 1), a sigmoid's probability "
            f"of malignancy, among {sorted(found)}"
        )
        raise TrainError(msg)
    if len(found) > 1:
        return keras.Model(model.input, found)
    rewritten = _with_map(model)
    if rewritten is None:
        warn(
            "the model gives a probability alone: no heat map, and "
            "the input gate has only its limits"
        )
        return keras.Model(model.input, found)
    say(
        "the dense layer on averaged features is exported as a map and "
        "its mean: the same probability, with a heat map"
    )
    return rewritten


def _kind(shape: tuple[int | None, ...]) -> str | None:
    if shape[1:] == (1,):
        return PROBABILITY
    if len(shape) == 4 and shape[3] == 1:  # noqa: PLR2004 - images, rows, columns, channels
        return LOGIT_MAP
    return FEATURES if len(shape) == 2 else None  # noqa: PLR2004 - images, channels


def _with_map(model: keras.Model) -> keras.Model | None:
    """
    Replace a dense layer after the average by a 1x1 convolution before it.

    None if the model does not end like that.
    """
    *before, dense = [
        layer for layer in model.layers if not isinstance(layer, keras.layers.Dropout)
    ]
    if not (
        isinstance(dense, keras.layers.Dense)
        and before
        and isinstance(before[-1], keras.layers.GlobalAveragePooling2D)
    ):
        return None
    if dense.activation is not keras.activations.sigmoid:
        return None
    average, convolution = (
        before[-1],
        keras.layers.Conv2D(1, 1, use_bias=dense.use_bias, name=LOGIT_MAP),
    )
    logit_map = convolution(average.input)
    kernel, *bias = dense.get_weights()
    convolution.set_weights([kernel[None, None], *bias])
    # Named, since Keras gives a loaded model's names again.
    logit = keras.layers.GlobalAveragePooling2D(name="mean_of_map")(logit_map)
    probability = keras.layers.Activation("sigmoid", name="sigmoid_of_mean")(logit)
    outputs = {PROBABILITY: probability, LOGIT_MAP: logit_map, FEATURES: average.output}
    rewritten = keras.Model(model.input, outputs)
    tensor = np.random.default_rng(0).random((2, *model.input_shape[1:]), np.float32)
    same = (
        np.abs(
            np.asarray(rewritten(tensor)[PROBABILITY])
            - np.asarray(keras.tree.flatten(model(tensor))[0])
        ).max()
        <= SAME
    )
    return rewritten if same else None


def _checked(model: keras.Model, recipe: Recipe, path: Path) -> keras.Model:
    spec = recipe.input
    expected = (spec.height, spec.width, spec.channels)
    if tuple(model.input_shape[1:]) != expected:
        msg = (
            f"{path}: input is {tuple(model.input_shape[1:])}, recipe {recipe.name} "
            f"prepares {expected}; write a recipe with its input"
        )
        raise TrainError(msg)
    try:
        return named_outputs(model)
    except TrainError as error:
        msg = f"{path}: {error}"
        raise TrainError(msg) from None
