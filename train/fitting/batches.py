"""The prepared images as tf.data: shuffled and augmented for training, in order for scoring."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.fitting import batch_order
from train.fitting.augment import augment
from train.recipe import Recipe


def training(
    images: NDArray[np.float16], labels: NDArray[np.float32], recipe: Recipe, first_epoch: int = 0
) -> tf.data.Dataset:
    """
    Give shuffled, augmented batches without end, `batch_order.steps` an epoch.

    An epoch depends on the seed and its number alone.

    Args:
        images: shape (n, height, width), from 0 (black) to 1; larger than the recipe's input, of
            which the middle is taken.
        labels: shape (n,), 1 for malignant.
        recipe: batch size, input size and range, augmentation and seed.
        first_epoch: the epoch to begin with; 0 is the first.

    Returns:
        Pairs of (batch, height, width, channels) float32 in the recipe's range, and (batch, 1)
        labels.
    """
    with tf.device("CPU"):
        pixels, truth = tf.constant(images), tf.constant(labels[:, None])
    size = recipe.input.height, recipe.input.width

    def change(rows: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        picture = augment(
            tf.cast(tf.gather(pixels, rows), tf.float32)[..., None], seed, recipe.augment, size
        )
        return to_input(picture, recipe), tf.gather(truth, rows)

    data = batch_order.batches(len(labels), recipe.batch_size, recipe.seed, first_epoch)
    return data.map(change, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def scoring(
    images: NDArray[np.float16], labels: NDArray[np.float32], recipe: Recipe
) -> tf.data.Dataset:
    """Give the same pairs, neither shuffled nor changed."""
    data = tf.data.Dataset.from_tensor_slices((images, labels[:, None])).batch(recipe.batch_size)

    def widen(picture: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return to_input(tf.cast(picture, tf.float32)[..., None], recipe), label

    return data.map(widen, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def to_input(picture: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """Turn (batch, height, width, 1) in 0 to 1 into the recipe's range and channels."""
    spec = recipe.input
    return tf.repeat(picture * (spec.high - spec.low) + spec.low, spec.channels, axis=-1)
