"""
The order of the films in training batches, a function of seed and epoch alone.

A run taken up again therefore sees what it would have seen without the interruption.
"""

from typing import Final

import numpy as np
import tensorflow as tf

_MAX_STEPS: Final = 1_000_000
"""Seeds of one epoch never reach those of the next."""


def steps(films: int, batch_size: int) -> int:
    """Count the batches of an epoch, the last one filled up."""
    return -(-films // batch_size)


def batches(films: int, batch_size: int, seed: int, first_epoch: int) -> tf.data.Dataset:
    """
    Draw the batches of all epochs from `first_epoch` (0 is the run's first) on, without end.

    Every batch is full: the last of an epoch is filled up with films from its beginning. Then no
    device of several gets less than the others, and no image counts more than another in its step.

    Args:
        films: the number of films.
        batch_size: films a batch.
        seed: of the order and of the random changes.
        first_epoch: the epoch to begin with.

    Returns:
        Pairs of film numbers, shape (batch,) int64, and a seed for random changes of this batch,
        shape (2,) int64.
    """
    count = steps(films, batch_size)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        shuffled = tf.random.experimental.stateless_shuffle(
            tf.range(films, dtype=tf.int64),
            seed=tf.stack([tf.constant(seed, tf.int64), -1 - 2 * epoch]),
        )
        places = np.arange(count * batch_size) % films
        rows = tf.reshape(tf.gather(shuffled, places), (count, batch_size))
        numbers = epoch * _MAX_STEPS + tf.range(count, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices(
            (rows, tf.stack([tf.fill([count], tf.constant(seed, tf.int64)), numbers], axis=1))
        )

    return tf.data.Dataset.counter(start=first_epoch).flat_map(one_epoch)
