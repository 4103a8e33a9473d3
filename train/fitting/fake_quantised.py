"""
Training that feels int8: weights and activations are rounded in every step of it.

Weights are rounded by output channel and activations by tensor, as TensorFlow Lite rounds them, and
gradients pass straight through (Jacob et al. 2018). The ranges of the activations are those that
some training films show, which is also how the converter finds them later.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from train.data.films import Prepared
from train.fitting import dense_network
from train.fitting.dense_network import Network, Scaled
from train.recipe import Dense, Recipe

EXAMPLES: Final = 48
"""Films that show the range of each tensor."""
RATE: Final = 0.2
"""The learning rates, as a share of those of the training before."""
_ROUNDED: Final = ("project", "add", "from_last", "from_middle", "lesion", "malignant")
"""Layers whose output is a tensor of its own; others are followed by a ReLU that is fused."""


@keras.saving.register_keras_serializable("mammo_edge")
class Rounded(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """
    Activations in the 256 steps of int8.

    Args:
        low: the lowest value, at most 0.
        high: the highest value, at least 0.
        options: Keras's own.
    """

    def __init__(self, low: float, high: float, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.low, self.high = low, high

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """Round a tensor of any shape."""
        return tf.quantization.fake_quant_with_min_max_args(values, self.low, self.high)


class RoundedScaled(Scaled):
    """A folded convolution with rounded weights."""

    def folded(self) -> tf.Tensor:
        """Give the kernel times the scale, in 255 steps a channel."""
        return rounded(super().folded())


class RoundedConv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """A convolution with rounded weights."""

    def convolution_op(self, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Convolve with the rounded kernel."""
        return super().convolution_op(inputs, rounded(kernel))


class RoundedDepthwise(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """A depthwise convolution without bias, with rounded weights."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Convolve with the rounded kernel."""
        return keras.ops.depthwise_conv(
            inputs, rounded(self.kernel), self.strides, padding=self.padding
        )


def rounded(kernel: tf.Tensor) -> tf.Tensor:
    """
    Round a kernel to 255 steps for each output channel, symmetric about 0.

    Args:
        kernel: shape (rows, columns, in, out), or (rows, columns, channels, 1) of a depthwise one.
    """
    kernel = tf.convert_to_tensor(kernel)
    channels = kernel.shape[2] if kernel.shape[3] == 1 and kernel.shape[0] > 1 else kernel.shape[3]
    flat = tf.reshape(kernel, (-1, channels))
    most = tf.stop_gradient(tf.reduce_max(tf.abs(flat), axis=0)) + 1e-6
    steps = tf.quantization.fake_quant_with_min_max_vars_per_channel(
        flat, -most, most, narrow_range=True
    )
    return tf.reshape(steps, tf.shape(kernel))


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
        clone_function=_rounding,
        call_function=_calling(_ranges(network.pieces, films)),
    )
    found = Network(pieces, dense_network.whole(pieces, recipe, how))
    hand_over(network, found)
    return found


def slower(how: Dense) -> Dense:
    """Give the training of a network that rounds: fewer steps, at a part of the rates."""
    return replace(
        how,
        steps=how.int8_steps,
        learning_rate=RATE * how.learning_rate,
        head_learning_rate=RATE * how.head_learning_rate,
        warmup_steps=min(how.warmup_steps, how.int8_steps // 10),
    )


def hand_over(source: Network, target: Network) -> None:
    """Copy the weights of all layers from one network to another with the same names."""
    for first, second in ((source.pieces, target.pieces), (source.whole, target.whole)):
        for layer in first.layers:
            if layer.weights and layer is not source.pieces:
                second.get_layer(layer.name).set_weights(layer.get_weights())


def _rounding(layer: keras.layers.Layer) -> keras.layers.Layer:
    """Make the layer's counterpart that rounds, without weights."""
    kinds: dict[Any, Any] = {
        Scaled: RoundedScaled,
        keras.layers.Conv2D: RoundedConv2D,
        keras.layers.DepthwiseConv2D: RoundedDepthwise,
    }
    kind: Any = type(layer)
    return kinds.get(kind, kind).from_config(layer.get_config())


def _calling(ranges: Mapping[str, tuple[float, float]]) -> Callable[..., Any]:
    """Round what comes out of the layers of which a range is known."""

    def call(layer: keras.layers.Layer, *values: Any, **options: Any) -> Any:  # noqa: ANN401
        found = layer(*values, **options)
        if layer.name not in ranges:
            return found
        return Rounded(*ranges[layer.name], name=f"{layer.name}_rounded")(found)

    return call


def _ranges(pieces: keras.Model, films: Prepared) -> dict[str, tuple[float, float]]:
    """Find the lowest and highest output of each layer over some films."""
    layers = [layer for layer in pieces.layers if _is_rounded(layer)]
    model = keras.Model(pieces.input, [layer.output for layer in layers])

    def ends(image: tf.Tensor) -> tf.Tensor:
        found = model(image, training=False)
        return tf.stack([(tf.reduce_min(each), tf.reduce_max(each)) for each in found])

    measure = tf.function(ends)
    chosen = films.images[:: max(1, len(films.images) // EXAMPLES)]
    channels = pieces.input_shape[-1]
    seen = [
        measure(
            np.repeat(film.astype(np.float32)[None, ..., None] * 2 - 1, channels, axis=-1)
        ).numpy()
        for film in chosen
    ]
    low, high = np.min([each[:, 0] for each in seen], 0), np.max([each[:, 1] for each in seen], 0)
    return {
        layer.name: (min(0.0, float(first)), max(1e-3, float(last)))
        for layer, first, last in zip(layers, low, high, strict=True)
    }


def _is_rounded(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.ReLU) or layer.name.endswith(_ROUNDED)
