"""
Which films make up which batch: a function of seed and epoch alone, so that a run taken up again
sees what it would have seen.
"""

from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_HALF: Final = 0.5
_MAX_STEPS: Final = 1_000_000
"""Seeds of one epoch never reach those of the next."""


def steps(films: int, batch_size: int) -> int:
    """Batches an epoch."""
    return -(-films // batch_size)


def batches(
    labels: NDArray[np.float32],
    batch_size: int,
    seed: int,
    first_epoch: int,
    *,
    balanced: bool = False,
) -> tf.data.Dataset:
    """
    The batches of all epochs from `first_epoch` (0 is the run's first) on, without end.

    Every batch is full: the last of an epoch is filled up with films from its beginning. Then no
    device of several gets less than the others, and no image counts more than another in its step.

    Args:
        labels: shape (n,), 1 for malignant.
        batch_size: films a batch.
        seed: of the order and of `changes`.
        first_epoch: where to begin.
        balanced: half of each batch benign, half malignant; the rarer class comes around more than
            once an epoch.

    Returns:
        Pairs of film numbers, shape (batch,) int64, and a seed for random changes of this batch,
        shape (2,) int64.
    """
    groups = (
        [np.flatnonzero(labels < _HALF), np.flatnonzero(labels >= _HALF)]
        if balanced
        else [np.arange(len(labels))]
    )
    shares = [len(part) for part in np.array_split(np.arange(batch_size), len(groups))]
    mixed = np.argsort(
        np.concatenate([np.arange(share) / share for share in shares]), kind="stable"
    )
    count = steps(len(labels), batch_size)

    def one_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
        pairs = enumerate(zip(groups, shares, strict=True))
        columns = [
            _table(group, (count, share), (seed, -1 - 2 * epoch - turn))
            for turn, (group, share) in pairs
        ]
        rows = tf.gather(tf.concat(columns, axis=1), mixed, axis=1)
        numbers = epoch * _MAX_STEPS + tf.range(count, dtype=tf.int64)
        return tf.data.Dataset.from_tensor_slices(
            (rows, tf.stack([tf.fill([count], tf.constant(seed, tf.int64)), numbers], axis=1))
        )

    return tf.data.Dataset.counter(start=first_epoch).flat_map(one_epoch)


def _table(
    group: NDArray[np.int64], shape: tuple[int, int], seed: tuple[int, tf.Tensor]
) -> tf.Tensor:
    """The group in random order, repeated as often as it takes to fill `shape` (batches, films)."""
    shuffled = tf.random.experimental.stateless_shuffle(
        tf.constant(group, tf.int64), seed=tf.stack([tf.constant(seed[0], tf.int64), seed[1]])
    )
    return tf.reshape(tf.gather(shuffled, np.arange(shape[0] * shape[1]) % len(group)), shape)
