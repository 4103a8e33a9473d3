"""Layers of the dense network that Keras does not have."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable("mammo_edge")
class Scaled(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """
    A convolution whose output channels are multiplied by fixed numbers: folded batch norm.

    Args:
        channels: of the output; None: one a channel of the input, depthwise.
        size: side of the kernel.
        strides: in both directions.
        options: Keras's own.
    """

    def __init__(self, channels: int | None, size: int, strides: int = 1, **options: Any) -> None:  # noqa: ANN401
        super().__init__(**options)
        self.channels, self.size, self.strides = channels, size, strides

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make kernel, scale and bias."""
        last = self.channels or 1
        out = self.channels or shape[-1]
        self.kernel = self.add_weight(name="kernel", shape=(self.size, self.size, shape[-1], last))
        self.scale = self.add_weight(
            name="scale", shape=(out,), initializer="ones", trainable=False
        )
        self.bias = self.add_weight(name="bias", shape=(out,), initializer="zeros")

    def call(self, image: keras.KerasTensor) -> keras.KerasTensor:
        """Convolve a map of shape (batch, rows, columns, channels)."""
        convolve = keras.ops.depthwise_conv if self.channels is None else keras.ops.conv
        return convolve(image, self.folded(), self.strides, padding="same") + self.bias

    def folded(self) -> keras.KerasTensor:
        """Give the kernel times the scale of each output channel."""
        shape = (-1, 1) if self.channels is None else (-1,)
        return self.kernel * keras.ops.reshape(self.scale, shape)

    def get_config(self) -> dict[str, Any]:
        """Give the arguments that make the same layer again."""
        own = {"channels": self.channels, "size": self.size, "strides": self.strides}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("mammo_edge")
class Doubled(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """
    A map with each cell as 2 x 2 cells.

    Keras's UpSampling2D becomes TILE in a converted file, which the Edge TPU compiler does not
    know; this becomes RESIZE_NEAREST_NEIGHBOR, which it does.
    """

    def call(self, cells: tf.Tensor) -> tf.Tensor:
        """Enlarge a map of shape (batch, rows, columns, channels)."""
        known = None not in cells.shape[1:3]
        size = cells.shape[1:3] if known else tf.shape(cells)[1:3]
        return tf.image.resize(cells, np.multiply(2, size) if known else 2 * size, "nearest")

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Say twice the rows and columns, as far as they are known."""
        batch, *sides, channels = shape
        return (batch, *(side and 2 * side for side in sides), channels)
