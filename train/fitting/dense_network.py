"""
MobileNetV2 that scores every cell of a mammogram: as a lesion, and as a malignant one.

Batch norm runs on ImageNet's statistics and is folded into the convolutions, as a fixed scale of
each channel: training costs a third of what it costs with separate layers, and the weights still
move as if they stood there. The head looks at the last layer and at one of twice its resolution.
The score is the highest cell of the malignant map after averaging over 5 x 5 cells: it stays exact
in int8, where a softmax over cells does not, and it is where the map points.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import keras
import numpy as np

from train.fitting import network
from train.fitting.dense_layers import Doubled, Scaled
from train.fitting.network import FEATURES, LOGIT_MAP, PROBABILITY
from train.recipe import Dense, Recipe

LESION: Final = "lesion"
MALIGNANT: Final = "malignant"
DROPOUT: Final = "dropout"
POOL: Final = 5
"""Side of the average, in cells."""
MIDDLE: Final = "block_13_expand"
"""A layer of stride 16: the last one has 32."""
AVERAGED: Final = (MIDDLE, "block_10_expand")
"""Layers whose averages may join the score."""
POOLED: Final = "pooled"
SCALE: Final = "scale"
"""The layer that makes the logit of the pooled map."""
RARE: Final = -3.5
"""The maps begin with this logit in every cell."""
_ADDED: Final = frozenset({2, 4, 5, 7, 8, 9, 11, 12, 14, 15})
"""Blocks whose input is added to their output."""
_HALVING: Final = frozenset({1, 3, 6, 13})
BLOCKS: Final = 17


@dataclass(frozen=True, slots=True)
class Network:
    """The layers, for pieces of any size and for whole films; both share their weights."""

    pieces: keras.Model
    """
    From images (batch, height, width, channels), -1 to 1, to maps `lesion` and `malignant`, (batch,
    rows, columns, 1), and those of AVERAGED.
    """
    whole: keras.Model
    """From the recipe's input to `probability`, `logit_map` and `features`, as `network.build`."""

    @property
    def base(self) -> list[keras.layers.Layer]:
        """The layers that came with ImageNet's weights, from the image on."""
        return [layer for layer in self.pieces.layers if isinstance(layer, Scaled)]

    @property
    def head(self) -> list[keras.layers.Layer]:
        """The others that learn."""
        own = [layer for layer in self.pieces.layers if layer.weights]
        return [layer for layer in own if layer not in self.base] + [self.whole.get_layer(SCALE)]

    def freeze(self, blocks: int) -> None:
        """Keep the weights of the first blocks, and of what lies before them, as they are."""
        first = {_name(block, "") for block in range(blocks)}
        for layer in self.base:
            early = layer.name == "Conv1" or any(layer.name.startswith(name) for name in first)
            layer.trainable = not (blocks and early)


def build(recipe: Recipe, how: Dense, weights: str) -> Network:
    """
    Build the network of a recipe.

    Args:
        recipe: input and width; one channel or three.
        how: channels and dropout of the head.
        weights: as `network.build` takes them.

    Raises:
        TrainError: the weights cannot be had or do not fit.
    """
    spec = recipe.input
    image = keras.Input((None, None, spec.channels), name="piece")
    taps = _base(image, recipe.alpha)
    lesion, malignant = _head(taps["last"], taps[MIDDLE], how)
    pieces = keras.Model(
        image,
        {LESION: lesion, MALIGNANT: malignant, **{name: taps[name] for name in AVERAGED}},
        name="pieces",
    )
    found = Network(pieces, whole(pieces, recipe, how))
    _fill(found, network.mobilenet(recipe.alpha, weights, (224, 224, 3)))
    found.whole.get_layer(SCALE).set_weights([np.ones((1, 1, 1, 1)), np.ones(1)])
    return found


def whole(pieces: keras.Model, recipe: Recipe, how: Dense) -> keras.Model:
    """Build the network of whole films upon the one of pieces; see `Network`."""
    spec = recipe.input
    image = keras.Input((spec.height, spec.width, spec.channels), name="image")
    # In this order both steps are exact in int8; the other way round the first one is too coarse.
    centred = keras.layers.Rescaling(1.0, offset=-(spec.low + spec.high) / 2, name="centred")(image)
    rescaled = keras.layers.Rescaling(2.0 / (spec.high - spec.low), name="to_minus_one_to_one")(
        centred
    )
    seen = pieces(rescaled)
    pooled = keras.layers.AveragePooling2D(POOL, 1, padding="same", name=POOLED)(seen[MALIGNANT])
    logit_map = keras.layers.Conv2D(1, 1, name=SCALE)(pooled)
    if how.averages is not None:
        logit_map = keras.layers.Add(name="with_averages")(
            [logit_map, *(_averaged(seen[name], name) for name in AVERAGED)]
        )
    logit = keras.layers.GlobalMaxPooling2D(name=network.LOGIT)(logit_map)
    probability = keras.layers.Activation("sigmoid", name=PROBABILITY)(logit)
    features = keras.layers.GlobalAveragePooling2D(name=FEATURES)(seen[MIDDLE])
    outputs = {PROBABILITY: probability, LOGIT_MAP: logit_map, FEATURES: features}
    return keras.Model(image, outputs, name=f"mammo_{recipe.name}")


def _averaged(values: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """
    One number for the whole film, (batch, 1, 1, 1): 0 until weights are found.

    The dot product comes before the average: in int8 that loses less than the other way round.
    """
    weighed = keras.layers.Conv2D(
        1, 1, use_bias=False, kernel_initializer="zeros", name=weights_of(name)
    )(values)
    return keras.layers.GlobalAveragePooling2D(keepdims=True)(weighed)


def weights_of(name: str) -> str:
    """The layer that weighs the averages of another."""
    return f"{name}_weights"


def _base(image: keras.KerasTensor, alpha: float) -> dict[str, keras.KerasTensor]:
    """
    MobileNetV2 (Sandler et al. 2018) without its top: the last map, and the one in the middle.
    """
    taps = {}
    seen = _relu6(Scaled(_width(32 * alpha), 3, 2, name="Conv1")(image))
    for block, expansion, channels in _blocks(alpha):
        entered, inside = seen, seen
        if expansion > 1:
            name = _name(block, "expand")
            inside = _relu6(Scaled(expansion * seen.shape[-1], 1, name=name)(inside))
            taps[name] = inside
        strides = 2 if block in _HALVING else 1
        inside = _relu6(Scaled(None, 3, strides, name=_name(block, "depthwise"))(inside))
        seen = Scaled(channels, 1, name=_name(block, "project"))(inside)
        if block in _ADDED:
            seen = keras.layers.Add(name=_name(block, "add"))([entered, seen])
    last = Scaled(1280 if alpha <= 1 else _width(1280 * alpha), 1, name="Conv_1")(seen)
    return {**taps, "last": _relu6(last)}


def _head(
    last: keras.KerasTensor, middle: keras.KerasTensor, how: Dense
) -> Sequence[keras.KerasTensor]:
    """Both maps, each (batch, rows, columns, 1), at the resolution of the middle layer."""
    layers = keras.layers
    start = keras.initializers.HeNormal
    coarse = layers.Conv2D(
        how.channels, 1, use_bias=False, kernel_initializer=start(), name="from_last"
    )(last)
    fine = layers.Conv2D(how.channels, 1, kernel_initializer=start(), name="from_middle")(middle)
    both = layers.Add(name="both")([Doubled(name="enlarged")(coarse), fine])
    seen = layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, depthwise_initializer=start(), name="around"
    )(_relu6(both))
    seen = _relu6(layers.Conv2D(how.channels, 1, kernel_initializer=start(), name="mixed")(seen))
    seen = layers.SpatialDropout2D(how.dropout, name=DROPOUT)(seen)
    return [
        layers.Conv2D(
            1,
            1,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            bias_initializer=keras.initializers.Constant(RARE),
            name=name,
        )(seen)
        for name in (LESION, MALIGNANT)
    ]


def _fill(found: Network, imagenet: keras.Model) -> None:
    """Take over weights of Keras's MobileNetV2, batch norm folded, channels of grey summed up."""
    for layer in found.base:
        (kernel,) = imagenet.get_layer(layer.name).get_weights()
        norm = imagenet.get_layer(_norm(layer.name))
        gamma, beta, mean, variance = norm.get_weights()
        scale = gamma / np.sqrt(variance + norm.epsilon)
        if layer.name == "Conv1" and layer.kernel.shape[2] == 1:
            kernel = kernel.sum(axis=2, keepdims=True)
        layer.kernel.assign(kernel)
        layer.scale.assign(scale)
        layer.bias.assign(beta - mean * scale)


def _norm(name: str) -> str:
    return {"Conv1": "bn_Conv1", "Conv_1": "Conv_1_bn"}.get(name, f"{name}_BN")


def _name(block: int, part: str) -> str:
    return f"block_{block}_{part}" if block else f"expanded_conv_{part}"


def _blocks(alpha: float) -> Iterator[tuple[int, int, int]]:
    """Number, expansion and output channels of each block."""
    stages = ((16, 1), (24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1))
    widths = [channels for channels, repeats in stages for _ in range(repeats)]
    for number, channels in enumerate(widths):
        yield number, (6 if number else 1), _width(channels * alpha)


def _width(channels: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth less, as MobileNetV2 rounds."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _relu6(values: keras.KerasTensor) -> keras.KerasTensor:
    return keras.layers.ReLU(6.0)(values)
