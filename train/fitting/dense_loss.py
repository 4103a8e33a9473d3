"""
The loss of the dense network: cells, then the piece as a whole.

Background cells outnumber those of lesions by hundreds, so they count by the focal loss (Lin et al.
2017), which forgets cells that are right already.
"""

from dataclasses import dataclass
from typing import Final

import tensorflow as tf

BACKGROUND: Final = 0.25
"""Weight of all background cells of a batch against its lesions."""
HIGHEST: Final = 3
"""The score of a piece in training is the mean of so many cells: one alone learns slowly."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The summands of the loss; scalars."""

    lesion: tf.Tensor
    malignant: tf.Tensor
    piece: tf.Tensor

    @property
    def total(self) -> tf.Tensor:
        """Their sum."""
        return self.lesion + self.malignant + self.piece


def loss(
    lesion: tf.Tensor,
    malignant: tf.Tensor,
    pooled: tf.Tensor,
    cells: tf.Tensor,
    labels: tf.Tensor,
) -> Parts:
    """
    Compare a batch's maps with its targets.

    Args:
        lesion: shape (batch, rows, columns, 1), logits.
        malignant: the same shape.
        pooled: the same shape: the malignant map as the score sees it.
        cells: shape (batch, rows, columns, 4), as `Targets.stacked` gives them.
        labels: shape (batch,), targets of whole pieces, 0 to 1.
    """
    belongs, speaks_for, speaks_against, background = tf.unstack(cells, axis=-1)
    lesions = tf.maximum(tf.reduce_sum(belongs), 1.0)
    any_kind, bad = lesion[..., 0], malignant[..., 0]
    found = (1 - tf.sigmoid(any_kind)) ** 2 * belongs * _minus_log(any_kind)
    told = speaks_for * _minus_log(bad) + speaks_against * _minus_log(-bad)
    return Parts(
        lesion=tf.reduce_sum(found + _quiet(any_kind, background)) / lesions,
        malignant=tf.reduce_sum(told + _quiet(bad, background)) / lesions,
        piece=tf.reduce_mean(
            tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=score(pooled))
        ),
    )


def score(pooled: tf.Tensor) -> tf.Tensor:
    """The mean of the highest cells of a map (batch, rows, columns, 1); shape (batch,)."""
    flat = tf.reshape(pooled, (tf.shape(pooled)[0], -1))
    return tf.reduce_mean(tf.math.top_k(flat, HIGHEST)[0], axis=-1)


def _quiet(logits: tf.Tensor, background: tf.Tensor) -> tf.Tensor:
    return BACKGROUND * background * tf.sigmoid(logits) ** 2 * _minus_log(-logits)


def _minus_log(logits: tf.Tensor) -> tf.Tensor:
    """-log of the probability that a logit stands for, finite for any."""
    return tf.nn.softplus(-logits)
