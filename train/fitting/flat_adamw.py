"""
AdamW and the moving average of many weights as a few operations on one long vector.

Keras's own takes some ten operations a weight: compiling them for MobileNetV2's hundred kernels
takes longer than a hundred steps do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import keras
import numpy as np
import tensorflow as tf

BETA_1: Final = 0.9
BETA_2: Final = 0.999
EPSILON: Final = 1e-8


@dataclass(frozen=True, slots=True)
class FlatAdamW:
    """
    AdamW (Loshchilov and Hutter 2019) with a rate of its own for each weight.

    The moving average follows closely at first and by `momentum` later, as a mean over all steps
    would.
    """

    weights: tuple[keras.Variable, ...]
    rates: tf.Tensor
    """Shape (n,): of each number, what the common rate is multiplied by."""
    decays: tf.Tensor
    """Shape (n,): decay of kernels, 0 for biases."""
    momentum: float
    first: tf.Variable
    second: tf.Variable
    average: tf.Variable
    done: tf.Variable
    """Steps taken so far."""

    @classmethod
    def of(
        cls, groups: Sequence[tuple[Sequence[keras.Variable], float]], decay: float, momentum: float
    ) -> "FlatAdamW":
        """
        Begin with the weights as they are.

        Args:
            groups: weights, and what their rate is multiplied by.
            decay: of kernels, in units of the rate.
            momentum: of the moving average.
        """
        weights = tuple(weight for some, _ in groups for weight in some)
        rates = [np.full(_size(weight), rate, "f") for some, rate in groups for weight in some]
        decays = [np.full(_size(each), decay * (len(each.shape) > 1), "f") for each in weights]
        start = _flat([weight.value for weight in weights])
        zeros = tf.zeros_like(start)
        return cls(
            weights,
            tf.constant(np.concatenate(rates)),
            tf.constant(np.concatenate(decays)),
            momentum,
            tf.Variable(zeros),
            tf.Variable(zeros),
            tf.Variable(start),
            tf.Variable(0.0),
        )

    @property
    def variables(self) -> list[keras.Variable | tf.Variable]:
        """Everything that the next step depends on."""
        return [*self.weights, self.first, self.second, self.average, self.done]

    def apply(self, gradients: Sequence[tf.Tensor], rate: tf.Tensor) -> None:
        """
        Take one step; to be called in a `tf.function`.

        Args:
            gradients: one a weight.
            rate: the learning rate before each weight's own factor, a scalar.
        """
        gradient, weight = _flat(gradients), _flat([each.value for each in self.weights])
        step = self.done.assign_add(1.0)
        first = self.first.assign(BETA_1 * self.first + (1 - BETA_1) * gradient)
        second = self.second.assign(BETA_2 * self.second + (1 - BETA_2) * gradient**2)
        root = tf.sqrt(second / (1 - BETA_2**step)) + EPSILON
        direction = first / (1 - BETA_1**step) / root + self.decays * weight
        moved = weight - rate * self.rates * direction
        keep = tf.minimum(self.momentum, (1 + step) / (10 + step))
        self.average.assign(keep * self.average + (1 - keep) * moved)
        self._put(moved)

    def settle(self) -> None:
        """Give the weights their averages."""
        self._put(self.average)

    def _put(self, values: tf.Tensor) -> None:
        parts = tf.split(values, [_size(weight) for weight in self.weights])
        for weight, part in zip(self.weights, parts, strict=True):
            weight.value.assign(tf.reshape(part, weight.shape))


def _flat(values: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(value, (-1,)) for value in values], axis=0)


def _size(weight: keras.Variable) -> int:
    return int(np.prod(weight.shape))
