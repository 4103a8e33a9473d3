"""
Training that feels int8: weights and activations are rounded in every step of it.

The ranges of the activations are those that some training films show, and the file is converted
with the same ones. Outliers do not widen a range: every step of it would be coarser for them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.data.films import Prepared
from train.fitting import dense_network
from train.fitting.dense_network import Network
from train.fitting.examples import examples
from train.fitting.rounded_layers import COUNTERPARTS, Rounded
from train.recipe import Dense, Recipe

EXAMPLES: Final = 48
"""Films that show the range of each tensor."""
RATE: Final = 0.1
"""The learning rates, as a share of those of the training before."""
AVERAGE: Final = 0.95
"""The momentum of the moving average, which has few steps to look back on."""
OUTLIERS: Final = 0.01
"""The percentage of a film's values at each end for which no range is widened."""
CLIPPED: Final = 12.0
"""The end of a range whose values are added up and then cut at 6."""
_CLIPPED: Final = frozenset({"from_last", "from_middle"})
_ROUNDED: Final = ("project", "add", "from_last", "from_middle", "around", "lesion", "malignant")
"""Layers whose output is a tensor of its own; others are followed by a ReLU that is fused."""
_PLAIN: Final = {rounds: plain for plain, rounds in COUNTERPARTS.items()}


def of(network: Network, films: Prepared, recipe: Recipe, how: Dense) -> Network:
    """
    Copy a trained network into one that rounds.

    Args:
        network: keeps its weights.
        films: of training; some of them show the ranges.
        recipe: as for `dense_network.build`, as is `how`.
        how: channels and dropout of the head.

    Returns:
        A network with the same names of layers and the same weights.
    """
    pieces = keras.models.clone_model(
        network.pieces,
        clone_function=_swapping(COUNTERPARTS),
        call_function=_calling(_ranges(network.pieces, films)),
    )
    found = Network(pieces, dense_network.whole(pieces, recipe, how))
    hand_over(network, found)
    return found


def for_file(rounding: Network, recipe: Recipe, how: Dense) -> Network:
    """
    Copy a network that rounds into one that the converter can take.

    Its activations are rounded, which tells the converter their ranges. Its weights are not: the
    converter rounds them the same way.
    """
    pieces = keras.models.clone_model(rounding.pieces, clone_function=_swapping(_PLAIN))
    found = Network(pieces, dense_network.whole(pieces, recipe, how))
    hand_over(rounding, found)
    return found


def slower(how: Dense) -> Dense:
    """
    Give the training of a network that rounds: fewer steps, at a part of the rates.

    All blocks learn, since rounding hurts the first ones too; no weight decays.
    """
    return replace(
        how,
        steps=how.int8_steps,
        learning_rate=RATE * how.learning_rate,
        head_learning_rate=RATE * how.head_learning_rate,
        warmup_steps=min(how.warmup_steps, how.int8_steps // 10),
        weight_decay=0.0,
        ema=AVERAGE,
        frozen_blocks=0,
    )


def hand_over(source: Network, target: Network) -> None:
    """Copy the weights of all layers from one network to another with the same names."""
    for first, second in ((source.pieces, target.pieces), (source.whole, target.whole)):
        for layer in first.layers:
            if layer.weights and layer is not source.pieces:
                second.get_layer(layer.name).set_weights(layer.get_weights())


def _swapping(kinds: Mapping[Any, Any]) -> Callable[[keras.layers.Layer], keras.layers.Layer]:
    """Make each layer's counterpart, without weights; of a kind without one, the same again."""

    def swap(layer: keras.layers.Layer) -> keras.layers.Layer:
        return kinds.get(type(layer), type(layer)).from_config(layer.get_config())

    return swap


def _calling(ranges: Mapping[str, tuple[float, float]]) -> Callable[..., Any]:
    """Round what comes out of the layers of which a range is known."""

    def call(layer: keras.layers.Layer, *values: Any, **options: Any) -> Any:  # noqa: ANN401
        found = layer(*values, **options)
        if layer.name not in ranges:
            return found
        return Rounded(*ranges[layer.name], name=f"{layer.name}_rounded")(found)

    return call


def _ranges(pieces: keras.Model, films: Prepared) -> dict[str, tuple[float, float]]:
    """Find the range of each layer's output over some films, a few outliers left out."""
    layers = [layer for layer in pieces.layers if _is_rounded(layer)]
    model = keras.Model(pieces.input, [layer.output for layer in layers])
    measure = tf.function(lambda image: model(image, training=False))
    seen = [
        [_ends(layer, output.numpy()) for layer, output in zip(layers, measure(image), strict=True)]
        for image in examples(films, EXAMPLES, pieces.input_shape[-1])
    ]
    low, high = np.min(seen, axis=0)[:, 0], np.max(seen, axis=0)[:, 1]
    return {
        layer.name: (min(0.0, float(first)), max(1e-3, float(last)))
        for layer, first, last in zip(layers, low, high, strict=True)
    }


def _ends(layer: keras.layers.Layer, output: NDArray[np.float32]) -> tuple[float, float]:
    """Find the lowest and the highest value worth a step of its own."""
    if isinstance(layer, keras.layers.ReLU):
        return 0.0, float(output.max())
    low, high = np.percentile(output, (OUTLIERS, 100 - OUTLIERS))
    if layer.name in _CLIPPED:
        return max(-CLIPPED, low), min(CLIPPED, high)
    return low, high


def _is_rounded(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.ReLU) or layer.name.endswith(_ROUNDED)
