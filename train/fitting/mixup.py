"""
Mixup (Zhang et al. 2018): each image blended with another one of its batch, and its label with it.
"""

import tensorflow as tf


def mixup(
    images: tf.Tensor, labels: tf.Tensor, seed: tf.Tensor, alpha: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """
    Blend every image with a random one of the same batch; at least half of it stays its own.

    Args:
        images: shape (batch, height, width, channels), float32.
        labels: shape (batch, 1), float32.
        seed: shape (2,), an integer: same seed, same pairs and shares.
        alpha: of the Beta(alpha, alpha) distribution of the shares; near 0 hardly anything is
            blended.
    """
    count = tf.shape(images)[0]
    pairs, shares = (tf.random.experimental.stateless_fold_in(seed, number) for number in (1, 2))
    partner = tf.random.experimental.stateless_shuffle(tf.range(count), pairs)
    gamma = tf.random.stateless_gamma((2, count), shares, alpha)
    share = tf.math.divide_no_nan(gamma[0], gamma[0] + gamma[1])
    own = tf.maximum(share, 1 - share)
    return _blend(images, partner, own[:, None, None, None]), _blend(labels, partner, own[:, None])


def _blend(values: tf.Tensor, partner: tf.Tensor, own: tf.Tensor) -> tf.Tensor:
    return own * values + (1 - own) * tf.gather(values, partner)
