"""Prepared images as tf.data: shuffled and augmented for training, in order for scoring."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.augment import augment
from train.recipe import Recipe


def training(images: NDArray[np.float16], labels: NDArray[np.float32], recipe: Recipe) -> tf.data.Dataset:
    """
    Shuffled, augmented batches; another order and other changes in each epoch, the same again for the same seed.

    Args:
        images: shape (n, height, width), from 0 (black) to 1.
        labels: shape (n,), 1 for malignant.
        recipe: batch size, input range, augmentation and seed.

    Returns:
        Pairs of (batch, height, width, channels) float32 in the recipe's range, and (batch, 1) labels.
    """
    data = tf.data.Dataset.from_tensor_slices((images, labels[:, None]))
    data = data.shuffle(len(labels), seed=recipe.seed, reshuffle_each_iteration=True).batch(recipe.batch_size)
    seeds = tf.data.Dataset.random(seed=recipe.seed, rerandomize_each_iteration=True).batch(2)

    def change(pair: tuple[tf.Tensor, tf.Tensor], seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        picture = augment(tf.cast(pair[0], tf.float32)[..., None], seed, recipe.augment)
        return to_input(picture, recipe), pair[1]

    return tf.data.Dataset.zip((data, seeds)).map(change, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def scoring(images: NDArray[np.float16], labels: NDArray[np.float32], recipe: Recipe) -> tf.data.Dataset:
    """The same pairs, neither shuffled nor changed."""
    data = tf.data.Dataset.from_tensor_slices((images, labels[:, None])).batch(recipe.batch_size)

    def widen(picture: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return to_input(tf.cast(picture, tf.float32)[..., None], recipe), label

    return data.map(widen, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def to_input(picture: tf.Tensor, recipe: Recipe) -> tf.Tensor:
    """From (batch, height, width, 1) in 0 to 1 to the recipe's range and channels."""
    spec = recipe.input
    return tf.repeat(picture * (spec.high - spec.low) + spec.low, spec.channels, axis=-1)
