"""
MobileNetV2 with six of its seventeen blocks: a third of the graph, which is what tests wait for.

Names, widths, strides and batch norm stay, so that heads, weights and files are made by the same
code.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import pytest

from train.fitting import dense_network

KEPT: Final = (0, 1, 3, 6, 10, 13)
"""The blocks that halve, and those whose maps are looked at; none of them is added to its input."""
WHOLE: Final = (keras.applications.MobileNetV2, dense_network._blocks)
"""The real ones."""


def install(patch: pytest.MonkeyPatch) -> None:
    """Have both kinds of network built of these blocks."""
    _put(patch, mobilenet, blocks)


def remove(patch: pytest.MonkeyPatch) -> None:
    """Have both kinds of network built of all blocks again."""
    _put(patch, *WHOLE)


def _put(patch: pytest.MonkeyPatch, network: object, numbered: object) -> None:
    patch.setattr(keras.applications, "MobileNetV2", network)
    patch.setattr(dense_network, "_blocks", numbered)


def draw_weights(folder: Path) -> None:
    """Write tiny.weights.h5: random weights, and statistics of batch norm that go with them."""
    keras.utils.set_random_seed(0)
    base = keras.applications.MobileNetV2(
        input_shape=(64, 64, 3), alpha=0.35, include_top=False, weights=None
    )
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    base(np.random.default_rng(0).uniform(-1, 1, (32, 64, 64, 3)).astype(np.float32), training=True)
    base.save_weights(folder / "tiny.weights.h5")


def blocks(alpha: float) -> Iterator[tuple[int, int, int]]:
    """Stand in for `dense_network._blocks`: number, expansion and output channels of each block."""
    return (block for block in WHOLE[1](alpha) if block[0] in KEPT)


def mobilenet(
    input_shape: tuple[int, int, int],
    alpha: float,
    *,
    include_top: bool,
    weights: str | None,
    name: str | None = None,
) -> keras.Model:
    """Stand in for `keras.applications.MobileNetV2`, without top and weights."""
    assert (include_top, weights) == (False, None)
    image = keras.Input(input_shape)
    seen = _step(_convolution(dense_network._width(32 * alpha), 3, "Conv1", 2), image, "bn_Conv1")
    seen = keras.layers.ReLU(6.0, name="Conv1_relu")(seen)
    for number, expansion, channels in blocks(alpha):
        seen = _block(seen, number, expansion, channels)
    seen = _step(_convolution(1280, 1, "Conv_1"), seen, "Conv_1_bn")
    return keras.Model(image, keras.layers.ReLU(6.0, name="out_relu")(seen), name=name)


def _block(seen: Any, number: int, expansion: int, channels: int) -> Any:  # noqa: ANN401 - Keras
    prefix = dense_network._name(number, "")
    if expansion > 1:
        wide = _convolution(expansion * seen.shape[-1], 1, f"{prefix}expand")
        seen = _step(wide, seen, f"{prefix}expand_BN")
        seen = keras.layers.ReLU(6.0, name=f"{prefix}expand_relu")(seen)
    depthwise = keras.layers.DepthwiseConv2D(
        3,
        2 if number in dense_network._HALVING else 1,
        padding="same",
        use_bias=False,
        name=f"{prefix}depthwise",
    )
    seen = _step(depthwise, seen, f"{prefix}depthwise_BN")
    seen = keras.layers.ReLU(6.0, name=f"{prefix}depthwise_relu")(seen)
    return _step(_convolution(channels, 1, f"{prefix}project"), seen, f"{prefix}project_BN")


def _convolution(channels: int, size: int, name: str, strides: int = 1) -> keras.layers.Layer:
    return keras.layers.Conv2D(channels, size, strides, padding="same", use_bias=False, name=name)


def _step(layer: keras.layers.Layer, seen: Any, norm: str) -> Any:  # noqa: ANN401 - Keras
    return keras.layers.BatchNormalization(epsilon=1e-3, momentum=0.999, name=norm)(layer(seen))
