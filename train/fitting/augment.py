"""
Random geometry, tone and sharpness of whole batches, for tf.data.

Inside the model they would cost as much as the training step.
"""

import math
from typing import Final

import numpy as np
import tensorflow as tf

from train.recipe import Augment

KERNEL: Final = 7
"""Side of the blurring kernel, in pixels."""
SIGMA: Final = 1.5
"""
Sigma of the Gaussian, in pixels.

At the input sizes of our networks, films of 800 px lie as much behind 13 megapixels.
"""


def augment(
    images: tf.Tensor, seed: tf.Tensor, how: Augment, size: tuple[int, int] | None = None
) -> tf.Tensor:
    """
    Turn, scale, shift and flip each image by its own random amounts; change focus and tone.

    Args:
        images: shape (batch, height, width, 1), float32, from 0 (black) to 1; what comes in from
            outside is black.
        seed: shape (2,), an integer: same seed, same changes.
        how: the largest amounts.
        size: height and width to cut out of the middle; None: all of it.

    Returns:
        Shape (batch, height, width, 1) of that size, float32, from 0 to 1.
    """
    moved = _move(images, seed, how, size)
    if how.blur:
        moved = _refocus(moved, tf.random.experimental.stateless_fold_in(seed, 11), how.blur)
    if how.gamma:
        moved = _tone(moved, tf.random.experimental.stateless_fold_in(seed, 12), how)
    return moved


def _refocus(images: tf.Tensor, seed: tf.Tensor, largest: float) -> tf.Tensor:
    """
    Blend each image with its blurred self, or away from it, which sharpens.

    Films come at every resolution.
    """
    line = np.exp(-0.5 * ((np.arange(KERNEL) - KERNEL // 2) / SIGMA) ** 2).astype(np.float32)
    across, down = (
        np.reshape(line / line.sum(), shape) for shape in ((1, KERNEL, 1, 1), (KERNEL, 1, 1, 1))
    )
    blurred = tf.nn.conv2d(tf.nn.conv2d(images, across, 1, "SAME"), down, 1, "SAME")
    share = tf.random.stateless_uniform(
        (tf.shape(images)[0], 1, 1, 1), seed, minval=-largest, maxval=largest
    )
    return tf.clip_by_value(images + share * (blurred - images), 0.0, 1.0)


def _tone(images: tf.Tensor, seed: tf.Tensor, how: Augment) -> tf.Tensor:
    """Change gamma, contrast and brightness of each image; black stays black."""
    draws = tf.random.stateless_uniform(
        (3, tf.shape(images)[0], 1, 1, 1), seed, minval=-1.0, maxval=1.0
    )
    curved = tf.pow(images, tf.exp(draws[0] * how.gamma))
    return tf.clip_by_value(
        curved * (1.0 + draws[1] * how.gain) + draws[2] * how.gain / 2 * tf.sign(images), 0.0, 1.0
    )


def _move(
    images: tf.Tensor, seed: tf.Tensor, how: Augment, size: tuple[int, int] | None
) -> tf.Tensor:
    shape = tf.shape(images)
    height, width = size or (shape[1], shape[2])
    draws = tf.random.stateless_uniform((4, shape[0]), seed, minval=-1.0, maxval=1.0)
    angle = draws[0] * math.radians(how.rotation_deg)
    scale = 1.0 + draws[1] * how.zoom
    flip_x = _sign(draws[2], flip=how.flip_horizontal)
    flip_y = _sign(draws[3], flip=how.flip_vertical)
    transforms = _about_centre(angle, scale * flip_x, scale * flip_y, shape[1:3], (height, width))
    if how.shift:
        reach = how.shift * tf.cast(tf.stack([width, height]), tf.float32)[:, None]
        moves = tf.random.stateless_uniform(
            (2, shape[0]),
            tf.random.experimental.stateless_fold_in(seed, 10),
            minval=-reach,
            maxval=reach,
        )
        nothing = tf.zeros_like(angle)
        transforms += tf.stack(
            [nothing, nothing, moves[0], nothing, nothing, moves[1], nothing, nothing], axis=1
        )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.stack([height, width]),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def _sign(draw: tf.Tensor, *, flip: bool) -> tf.Tensor:
    return tf.where(draw < 0, -1.0, 1.0) if flip else tf.ones_like(draw)


def _about_centre(
    angle: tf.Tensor,
    scale_x: tf.Tensor,
    scale_y: tf.Tensor,
    source: tf.Tensor,
    result: tuple[int, int],
) -> tf.Tensor:
    """
    Give the eight numbers of TensorFlow's projective transform, shape (batch, 8).

    The transform maps the result's pixels to the source's.
    """
    from_y, from_x = ((tf.cast(side, tf.float32) - 1) / 2 for side in (source[0], source[1]))
    to_y, to_x = ((tf.cast(side, tf.float32) - 1) / 2 for side in result)
    a0, a1 = tf.cos(angle) * scale_x, -tf.sin(angle) * scale_y
    b0, b1 = tf.sin(angle) * scale_x, tf.cos(angle) * scale_y
    a2 = from_x - a0 * to_x - a1 * to_y
    b2 = from_y - b0 * to_x - b1 * to_y
    zero = tf.zeros_like(angle)
    return tf.stack([a0, a1, a2, b0, b1, b2, zero, zero], axis=1)
