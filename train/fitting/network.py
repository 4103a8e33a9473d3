"""
MobileNetV2 with classification layers of our own, ending in a logit map whose mean is the logit.
"""

import warnings
from pathlib import Path
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from edge.domain import Pooling
from train.errors import TrainError
from train.recipe import Head, Recipe

PROBABILITY: Final = "probability"
LOGIT_MAP: Final = "logit_map"
FEATURES: Final = "features"
LOGIT: Final = "logit"
EVIDENCE: Final = "evidence"
AUTO_POOL: Final = "auto_pool"
LINEAR: Final = "linear"
BASE: Final = "mobilenetv2"


def build(recipe: Recipe, weights: str) -> keras.Model:
    """
    Build the network of a recipe.

    A 1x1 convolution before the average gives the same logit as a dense layer after it, and its map
    shows where the logit came from (class activation map, Zhou et al. 2016) at no cost; with
    auto-pool the map is weighted. Batch norm always runs on its stored statistics.

    Args:
        recipe: input, width and head.
        weights: `imagenet` (fetched by Keras), `none` (random), or a weights file of MobileNetV2
            without its top.

    Returns:
        Input (batch, height, width, channels) in the recipe's range; outputs `probability` (batch,
        1), `logit_map` (batch, rows, columns, 1), and `features` (batch, channels): what the base
        saw, averaged, for the input gate.

    Raises:
        TrainError: the weights cannot be had or do not fit.
    """
    spec = recipe.input
    image = keras.Input((spec.height, spec.width, spec.channels), name="image")
    factor = 2.0 / (spec.high - spec.low)
    rescaled = keras.layers.Rescaling(
        factor, offset=-1.0 - spec.low * factor, name="to_minus_one_to_one"
    )(image)
    seen = _levels(_base(recipe, weights), recipe.head)(rescaled, training=False)
    features = _together([*_listed(seen), *_lesions(_listed(seen)[0], recipe)])
    logit_map = (
        _evidence(features, recipe.head)
        if recipe.linear is None
        else keras.layers.Conv2D(1, 1, name=LINEAR)(features)
    )
    logit = keras.layers.GlobalAveragePooling2D(name=LOGIT)(logit_map)
    probability = keras.layers.Activation("sigmoid", name=PROBABILITY)(logit)
    average = keras.layers.GlobalAveragePooling2D(name=FEATURES)(features)
    return keras.Model(
        image,
        {PROBABILITY: probability, LOGIT_MAP: logit_map, FEATURES: average},
        name=f"mammo_{recipe.name}",
    )


@keras.saving.register_keras_serializable("mammo_edge")
class AutoPool(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """
    A layer that weighs each cell of an evidence map with the softmax of the map.

    The mean over the result is the pooled logit.

    Auto-pool (McFee, Salamon and Bello 2018): a small malignant mass is a few cells of hundreds,
    and their plain mean forgets it. The softmax's sharpness is learnt: at 0 this is the plain mean,
    at infinity the maximum.
    """

    def build(self, shape: tuple[int | None, ...]) -> None:  # noqa: ARG002 - Keras calls it so
        """Make the one weight."""
        self.sharpness = self.add_weight(name="sharpness", shape=(), initializer="ones")

    def call(self, evidence: keras.KerasTensor) -> keras.KerasTensor:
        """
        Weigh the map.

        Args:
            evidence: shape (batch, rows, columns, 1), logits.

        Returns:
            The same shape; its mean over rows and columns is the logit.
        """
        rows, columns = evidence.shape[1:3]
        if rows * columns == 1:  # Keras warns of a softmax over one cell
            return evidence
        flat = keras.ops.reshape(evidence, (-1, rows * columns))
        weights = keras.ops.softmax(self.sharpness * flat, axis=-1) * (rows * columns)
        return keras.ops.reshape(weights * flat, (-1, rows, columns, 1))


def _levels(base: keras.Model, head: Head) -> keras.Model:
    """Give the base with the maps of earlier layers beside its last one."""
    if not head.levels:
        return base
    return keras.Model(
        base.input, [base.output, *(base.get_layer(name).output for name in head.levels)], name=BASE
    )


def _listed(maps: keras.KerasTensor | list[keras.KerasTensor]) -> list[keras.KerasTensor]:
    return maps if isinstance(maps, list) else [maps]


def _lesions(last: keras.KerasTensor, recipe: Recipe) -> list[keras.KerasTensor]:
    """Add what the head of the pieces finds on the whole film, if the recipe wants that channel."""
    return [_evidence(last, recipe.crops.head)] if recipe.crops and recipe.head.lesions else []


def _together(maps: list[keras.KerasTensor]) -> keras.KerasTensor:
    """Pool maps of several sizes to the smallest; the mean over the cells of each stays."""
    if len(maps) == 1:
        return maps[0]
    rows = maps[0].shape[1]
    pooled = [
        each
        if each.shape[1] == rows
        else keras.layers.AveragePooling2D(each.shape[1] // rows)(each)
        for each in maps
    ]
    return keras.layers.Concatenate(name="levels")(pooled)


def _evidence(features: keras.KerasTensor, head: Head) -> keras.KerasTensor:
    """Build a head's own map: how much each cell speaks for malignancy, pooled as the head says."""
    if head.filters:
        features = keras.layers.Conv2D(head.filters, 1, activation="relu", name="head")(features)
    if head.dropout:
        features = keras.layers.Dropout(head.dropout, name="dropout")(features)
    evidence = keras.layers.Conv2D(1, 1, name=EVIDENCE)(features)
    return AutoPool(name=AUTO_POOL)(evidence) if head.pooling == "auto" else evidence


def hand_on(learnt: keras.Model, to: keras.Model) -> None:
    """Copy the weights of every layer that stands in both networks in the same shape."""
    names = {layer.name for layer in learnt.layers}
    for layer in to.layers:
        if layer.name in names and layer.weights:
            weights = learnt.get_layer(layer.name).get_weights()
            if [array.shape for array in weights] == [
                tuple(weight.shape) for weight in layer.weights
            ]:
                layer.set_weights(weights)


def pooling(model: keras.Model) -> Pooling:
    """Tell the way from a network's map to its logit; `mean` for a model of somebody else's."""
    found = {layer.name: layer for layer in model.layers}.get(LOGIT)
    return "max" if isinstance(found, keras.layers.GlobalMaxPooling2D) else "mean"


def classifier(network: keras.Model) -> keras.Model:
    """Give the same layers with the probability alone, which is all that training looks at."""
    return keras.Model(network.input, network.output[PROBABILITY], name="classifier")


def train_base(network: keras.Model, *, trainable: bool) -> None:
    """
    Free or freeze MobileNetV2's weights; the scale and shift of its batch norm stay frozen.

    Args:
        network: as `build` gives it.
        trainable: true to free them.
    """
    for layer in network.get_layer(BASE).layers:
        layer.trainable = trainable and not isinstance(layer, keras.layers.BatchNormalization)


def _base(recipe: Recipe, weights: str) -> keras.Model:
    shape = (recipe.input.height, recipe.input.width, 3)
    if recipe.input.channels != shape[-1]:
        msg = f"recipe {recipe.name}: channels is {recipe.input.channels}, MobileNetV2 expects 3"
        raise TrainError(msg)
    return mobilenet(recipe.alpha, weights, shape)


def mobilenet(alpha: float, weights: str, shape: tuple[int, int, int]) -> keras.Model:
    """
    Keras's MobileNetV2 without its top.

    Args:
        alpha: its width.
        weights: as `build` takes them.
        shape: of its input; three channels.

    Raises:
        TrainError: the weights cannot be had or do not fit.
    """
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        msg = f"--weights: {weights} is neither a file nor imagenet nor none"
        raise TrainError(msg)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is undefined or non-square.*")
            base = keras.applications.MobileNetV2(
                input_shape=shape, alpha=alpha, include_top=False, weights=None, name=BASE
            )
            if weights == "imagenet":
                base.set_weights(_imagenet(alpha))
            elif weights != "none":
                base.load_weights(weights)
            return base
    # Keras raises a bare Exception if the download fails
    except (OSError, ValueError, Exception) as error:  # noqa: BLE001
        msg = f"ImageNet weights cannot be had ({_first_line(error)}). {_advice(weights)}"
        raise TrainError(msg) from None


def _imagenet(alpha: float) -> list[NDArray[np.float32]]:
    """
    Load Keras's weights for inputs of 224 pixels.

    For inputs of 192 pixels Keras has others; all stages of all recipes start from the same.
    """
    like = keras.applications.MobileNetV2(
        input_shape=(224, 224, 3), alpha=alpha, include_top=False, weights="imagenet"
    )
    weights: list[NDArray[np.float32]] = like.get_weights()
    return weights


def _advice(weights: str) -> str:
    if weights == "imagenet":
        return (
            "Without a network, give the file with --weights FILE, or "
            "--weights none to start from random weights."
        )
    return (
        f"{weights} does not fit; expected MobileNetV2 of the recipe's "
        "alpha, without its top, as Keras stores it."
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
