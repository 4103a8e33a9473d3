"""Random rotation, zoom and flips of whole batches, for tf.data: inside the model they would cost as much as the training step."""

import math

import tensorflow as tf

from train.recipe import Augment


def augment(images: tf.Tensor, seed: tf.Tensor, how: Augment) -> tf.Tensor:
    """
    Turn, scale and flip each image of a batch by its own random amounts, about its centre; what comes in from outside is black.

    Args:
        images: shape (batch, height, width, channels), float32, black = 0.
        seed: shape (2,), an integer: same seed, same changes.
        how: the largest amounts.

    Returns:
        The same shape and type.
    """
    shape = tf.shape(images)
    draws = tf.random.stateless_uniform((4, shape[0]), seed, minval=-1.0, maxval=1.0)
    angle = draws[0] * math.radians(how.rotation_deg)
    scale = 1.0 + draws[1] * how.zoom
    flip_x = _sign(draws[2], flip=how.flip_horizontal)
    flip_y = _sign(draws[3], flip=how.flip_vertical)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=_about_centre(angle, scale * flip_x, scale * flip_y, shape[1], shape[2]),
        output_shape=shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _sign(draw: tf.Tensor, *, flip: bool) -> tf.Tensor:
    return tf.where(draw < 0, -1.0, 1.0) if flip else tf.ones_like(draw)


def _about_centre(angle: tf.Tensor, scale_x: tf.Tensor, scale_y: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """The eight numbers of TensorFlow's projective transform, which maps output to input; shape (batch, 8)."""
    centre_x = (tf.cast(width, tf.float32) - 1) / 2
    centre_y = (tf.cast(height, tf.float32) - 1) / 2
    a0, a1 = tf.cos(angle) * scale_x, -tf.sin(angle) * scale_y
    b0, b1 = tf.sin(angle) * scale_x, tf.cos(angle) * scale_y
    a2 = centre_x - a0 * centre_x - a1 * centre_y
    b2 = centre_y - b0 * centre_x - b1 * centre_y
    zero = tf.zeros_like(angle)
    return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)
