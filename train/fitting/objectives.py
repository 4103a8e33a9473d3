"""
The objectives of the dense network: the boxes of lesions, or the answers of a trained network.

A network that rounds learns from the one that does not (distillation, Hinton et al. 2015, here with
rounding as Mishra and Marr 2018): labels would lead it on to other answers, and an int8 file is
worth the more the closer it stays to the float file.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import tensorflow as tf

from train.fitting import dense_loss
from train.fitting.dense_loss import Parts
from train.fitting.dense_network import LESION, MALIGNANT, POOLED, SCALE, Network

Objective: TypeAlias = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], Parts]
"""
A loss of images (batch, height, width, channels) from -1 to 1, cells (batch, rows, columns, 4) as
`Targets.stacked`, and labels (batch,).
"""
LEAST: Final = 0.1
"""The weight of a cell that surely is no lesion, against nearly 1 + LEAST of one that surely is."""
PIECE: Final = 0.3
"""The weight of the score of the whole piece against the maps."""


def boxes(network: Network) -> Objective:
    """Compare the maps of a network with the lesion boxes, and its score with the label."""

    def measure(images: tf.Tensor, cells: tf.Tensor, labels: tf.Tensor) -> Parts:
        seen = network.pieces(images, training=True)
        pooled = _pooled(network, seen[MALIGNANT])
        return dense_loss.loss(seen[LESION], seen[MALIGNANT], pooled, cells, labels)

    return measure


def imitation(network: Network, teacher: Network) -> Objective:
    """
    Compare the malignant map and the score of a network with a teacher's, by squared difference.

    Cells count by what the teacher gives them: the score is the highest of them. Neither network
    drops channels. The lesion map is left alone: no exported file has it.
    """

    def measure(images: tf.Tensor, cells: tf.Tensor, labels: tf.Tensor) -> Parts:
        del cells, labels
        known, known_pooled = _maps(teacher, images)
        found, pooled = _maps(network, images)
        return Parts(
            lesion=tf.zeros(()),
            malignant=_apart(found, known) + _apart(pooled, known_pooled),
            piece=PIECE
            * tf.reduce_mean((dense_loss.score(pooled) - dense_loss.score(known_pooled)) ** 2),
        )

    return measure


def _maps(network: Network, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Give the malignant map, and the same as the score sees it."""
    cells = network.pieces(images, training=False)[MALIGNANT]
    return cells, _pooled(network, cells)


def _pooled(network: Network, cells: tf.Tensor) -> tf.Tensor:
    """Give a malignant map as the score sees it."""
    pool, scale = (network.whole.get_layer(name) for name in (POOLED, SCALE))
    return scale(pool(cells))


def _apart(found: tf.Tensor, known: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean((LEAST + tf.sigmoid(known)) * (found - known) ** 2)
