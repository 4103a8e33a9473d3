"""
Rounding of trained weights in which errors cancel out.

Rounded to the nearest step, each weight errs for itself. Here those of an output channel are
rounded one after the other, and the ones still to come make up for the error, as far as the layer's
inputs go together on films (GPTQ: Frantar et al. 2023, after Hassibi and Stork 1993). The result
lies on the steps that the converter will find, so it rounds nothing any more.
"""

from collections.abc import Mapping
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.data.films import Prepared
from train.fitting.dense_layers import Scaled
from train.fitting.dense_network import Network
from train.fitting.examples import examples

FILMS: Final = 36
"""Films whose inputs of each layer are looked at."""
PLACES: Final = 1600
"""Places of each film, or half as many for a kernel of several cells."""
DAMPING: Final = 0.01
"""Share of the mean square of all inputs that is added to that of each."""
STEPS: Final = 127
"""The steps of int8 to either side of 0."""

Floats = NDArray[np.float64]


def round_weights(network: Network, films: Prepared, seed: int) -> None:
    """
    Put the kernels of a network onto the steps of int8, by output channel.

    Args:
        network: is changed.
        films: of training; some of them show the inputs of each layer.
        seed: of the places that are looked at.
    """
    layers = [layer for layer in network.pieces.layers if layer.weights]
    moments = _moments(network.pieces, layers, films, np.random.default_rng(seed))
    for layer in layers:
        kernel = _kernel(layer)
        if _is_depthwise(layer):
            columns = kernel.reshape(-1, kernel.shape[2])
            found = np.stack(
                [
                    together(column[:, None], square)[:, 0]
                    for column, square in zip(columns.T, moments[layer.name], strict=True)
                ],
                axis=1,
            )
        else:
            found = together(kernel.reshape(-1, kernel.shape[3]), moments[layer.name])
        _put(layer, found.reshape(kernel.shape))


def together(weights: Floats, moments: Floats) -> Floats:
    """
    Round the weights of a layer so that its outputs change least.

    Args:
        weights: shape (inputs, outputs).
        moments: shape (inputs, inputs), sums of products of the inputs.

    Returns:
        The same shape, in `STEPS` steps to either side of 0 for each output.
    """
    count = len(weights)
    step = np.abs(weights).max(axis=0) / STEPS + 1e-12
    damped = moments + np.eye(count) * (DAMPING * np.trace(moments) / count + 1e-12)
    # The inputs that matter most come first: the others can still make up for them.
    order = np.argsort(-np.diag(damped), kind="stable")
    upper = np.linalg.cholesky(np.linalg.inv(damped[np.ix_(order, order)])).T
    start = weights[order].astype(np.float64)
    left, found = start.copy(), np.empty(weights.shape)
    largest = np.abs(start).argmax(axis=0)
    for place in range(count):
        nearest = np.clip(np.round(left[place] / step), -STEPS, STEPS) * step
        # The largest weight stays: the converter finds the size of a step by it.
        found[place] = np.where(largest == place, start[place], nearest)
        error = (left[place] - found[place]) / upper[place, place]
        left[place + 1 :] -= np.outer(upper[place, place + 1 :], error)
    return found[np.argsort(order)]


def _moments(
    pieces: keras.Model, layers: list[Any], films: Prepared, generator: np.random.Generator
) -> Mapping[str, Floats]:
    """Sum up the products of each layer's inputs: (n, n), or (channels, n, n) if depthwise."""
    model = keras.Model(pieces.input, [layer.input for layer in layers])
    measure = tf.function(lambda image: model(image, training=False))
    sums: dict[str, Floats] = {}
    for image in examples(films, FILMS, pieces.input_shape[-1]):
        for layer, seen in zip(layers, measure(image), strict=True):
            found = _products(_inputs(seen.numpy()[0], layer, generator), layer)
            sums[layer.name] = sums.get(layer.name, 0.0) + found
    return sums


def _inputs(seen: NDArray[np.float32], layer: Any, generator: np.random.Generator) -> Floats:  # noqa: ANN401
    """Take what the kernel sees at some places, (places, rows, columns, channels)."""
    size = layer.weights[0].shape[0]
    places = PLACES if size == 1 else PLACES // 2
    rows, columns = (generator.integers(0, side, places) for side in seen.shape[:2])
    padded = np.pad(seen, [(size // 2, size // 2)] * 2 + [(0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))
    return np.moveaxis(windows[rows, columns], 1, -1).astype(np.float64)


def _products(inputs: Floats, layer: Any) -> Floats:  # noqa: ANN401
    if _is_depthwise(layer):
        cells = inputs.reshape(len(inputs), -1, inputs.shape[-1])
        products: Floats = np.einsum("nic,njc->cij", cells, cells, optimize=True)
    else:
        flat = inputs.reshape(len(inputs), -1)
        products = flat.T @ flat
    return products


def _is_depthwise(layer: Any) -> bool:  # noqa: ANN401
    if isinstance(layer, Scaled):
        return layer.channels is None
    return isinstance(layer, keras.layers.DepthwiseConv2D)


def _kernel(layer: Any) -> Floats:  # noqa: ANN401
    """Give the kernel as the file will have it, before it is rounded."""
    kernel = np.asarray(layer.weights[0], dtype=np.float64)
    return kernel * _scale(layer) if isinstance(layer, Scaled) else kernel


def _put(layer: Any, kernel: Floats) -> None:  # noqa: ANN401
    own = kernel / _scale(layer) if isinstance(layer, Scaled) else kernel
    layer.weights[0].assign(own.astype(np.float32))


def _scale(layer: Scaled) -> Floats:
    return np.asarray(layer.scale, np.float64).reshape((-1, 1) if layer.channels is None else -1)
