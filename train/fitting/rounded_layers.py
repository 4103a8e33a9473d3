"""
Layers that round as int8 does, for training that feels it.

Weights are rounded by output channel and activations by tensor, as TensorFlow Lite rounds them, and
gradients pass straight through (Jacob et al. 2018).
"""

from typing import Any, Final

import keras
import tensorflow as tf

from train.fitting.dense_layers import Doubled, Scaled


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

    def get_config(self) -> dict[str, Any]:
        """Give the arguments that make the same layer again."""
        return {**super().get_config(), "low": self.low, "high": self.high}


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


COUNTERPARTS: Final[dict[Any, Any]] = {
    Scaled: RoundedScaled,
    keras.layers.Conv2D: RoundedConv2D,
    keras.layers.DepthwiseConv2D: RoundedDepthwise,
}
"""The layer that rounds its weights for each that does not."""
LAYERS: Final = {layer.__name__: layer for layer in (Scaled, Doubled, Rounded)}
"""Classes that Keras needs to read a saved network, for the int8 file too."""
