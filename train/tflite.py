"""Keras -> TensorFlow Lite."""

import contextlib
import io
from typing import Final

import keras
import tensorflow as tf

from edge.domain import InputSpec
from edge.engine import Shapes
from train.network import LOGIT_MAP, PROBABILITY

FEATURES: Final = "features"
OUTPUTS: Final = (PROBABILITY, LOGIT_MAP, FEATURES)
"""Only the first is needed: without a map there is no heat map, without features the input gate has only its limits."""


def convert(model: keras.Model, spec: InputSpec) -> bytes:
    """
    Convert a network to a TensorFlow Lite file of batch size 1 with float16 weights.

    float16 halves the file, costs no accuracy, and runs as float32 in every interpreter back to tflite-runtime 2.14.

    Returns:
        The file's bytes; its outputs are those that `shapes` says, in any order.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(_one_image(model, spec))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    with contextlib.redirect_stdout(io.StringIO()):  # it lists every variable
        converted: bytes = converter.convert()
    return converted


def shapes(model: keras.Model, spec: InputSpec) -> Shapes:
    """Input and outputs of the converted file: probability (1, 1), logit map (1, rows, columns, 1), features (1, channels)."""
    found = {name: (1, *map(int, model.output[name].shape[1:])) for name in OUTPUTS if name in model.output}
    return Shapes((1, spec.height, spec.width, spec.channels), found[PROBABILITY], found.get(LOGIT_MAP), found.get(FEATURES))


def _one_image(model: keras.Model, spec: InputSpec) -> keras.Model:
    """The network for a batch of one. With Keras 3 from_concrete_functions would give a file without weights."""
    image = keras.Input(batch_shape=(1, spec.height, spec.width, spec.channels), name="image")
    outputs = model(image)
    return keras.Model(image, [outputs[name] for name in OUTPUTS if name in outputs])
