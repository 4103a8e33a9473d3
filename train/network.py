"""MobileNetV2 with classification layers of our own, ending in a logit map whose mean is the logit."""

import warnings
from pathlib import Path
from typing import Final

import keras

from train.errors import TrainError
from train.recipe import Recipe

PROBABILITY: Final = "probability"
LOGIT_MAP: Final = "logit_map"
BASE: Final = "mobilenetv2"


def build(recipe: Recipe, weights: str) -> keras.Model:
    """
    The network of a recipe.

    A 1x1 convolution before the average gives the same logit as a dense layer after it, and its map shows where the
    logit came from (class activation map, Zhou et al. 2016) at no cost. Batch norm always runs on its stored statistics.

    Args:
        recipe: input, width and head.
        weights: `imagenet` (fetched by Keras), `none` (random), or a weights file of MobileNetV2 without its top.

    Returns:
        Input (batch, height, width, channels) in the recipe's range; outputs `probability` (batch, 1) and
        `logit_map` (batch, rows, columns, 1).

    Raises:
        TrainError: the weights cannot be had or do not fit.
    """
    spec = recipe.input
    image = keras.Input((spec.height, spec.width, spec.channels), name="image")
    factor = 2.0 / (spec.high - spec.low)
    rescaled = keras.layers.Rescaling(factor, offset=-1.0 - spec.low * factor, name="to_minus_one_to_one")(image)
    features = _base(recipe, weights)(rescaled, training=False)
    hidden = keras.layers.Conv2D(recipe.head.filters, 1, activation="relu", name="head")(features)
    hidden = keras.layers.Dropout(recipe.head.dropout, name="dropout")(hidden)
    logit_map = keras.layers.Conv2D(1, 1, name=LOGIT_MAP)(hidden)
    logit = keras.layers.GlobalAveragePooling2D(name="logit")(logit_map)
    probability = keras.layers.Activation("sigmoid", name=PROBABILITY)(logit)
    return keras.Model(image, {PROBABILITY: probability, LOGIT_MAP: logit_map}, name=f"mammo_{recipe.name}")


def classifier(network: keras.Model) -> keras.Model:
    """The same layers with the probability alone, which is what training looks at."""
    return keras.Model(network.input, network.output[PROBABILITY], name="classifier")


def train_base(network: keras.Model, *, trainable: bool) -> None:
    """Free or freeze MobileNetV2's weights; the scale and shift of its batch norm stay frozen."""
    for layer in network.get_layer(BASE).layers:
        layer.trainable = trainable and not isinstance(layer, keras.layers.BatchNormalization)


def _base(recipe: Recipe, weights: str) -> keras.Model:
    if weights not in ("imagenet", "none") and not Path(weights).is_file():
        msg = f"--weights: {weights} is neither a file nor imagenet nor none"
        raise TrainError(msg)
    shape = (recipe.input.height, recipe.input.width, 3)
    if recipe.input.channels != shape[-1]:
        msg = f"recipe {recipe.name}: channels is {recipe.input.channels}, MobileNetV2 expects 3"
        raise TrainError(msg)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is undefined or non-square.*")
            return keras.applications.MobileNetV2(
                input_shape=shape, alpha=recipe.alpha, include_top=False, weights=None if weights == "none" else weights, name=BASE
            )
    except (OSError, ValueError, Exception) as error:  # noqa: BLE001 - Keras raises a bare Exception where the download fails
        msg = f"ImageNet weights cannot be had ({_first_line(error)}). {_advice(weights)}"
        raise TrainError(msg) from None


def _advice(weights: str) -> str:
    if weights == "imagenet":
        return "Without a network, give the file with --weights FILE, or --weights none to start from random weights."
    return f"{weights} does not fit; expected MobileNetV2 of the recipe's alpha, without its top, as Keras stores it."


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
