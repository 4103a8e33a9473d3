"""Keras -> TensorFlow Lite."""

import contextlib
import io

import keras
import tensorflow as tf

from edge.engine import Shapes
from train.network import LOGIT_MAP, PROBABILITY
from train.recipe import Recipe


def convert(model: keras.Model, recipe: Recipe) -> bytes:
    """
    Convert a network to a TensorFlow Lite file of batch size 1 with float16 weights.

    float16 halves the file, costs no accuracy, and runs as float32 in every interpreter back to tflite-runtime 2.14.

    Returns:
        The file's bytes; outputs are probability (1, 1) and logit map (1, rows, columns, 1), in any order.
    """
    spec = recipe.input
    image = keras.Input(batch_shape=(1, spec.height, spec.width, spec.channels), name="image")
    outputs = model(image)
    # With Keras 3 from_concrete_functions gives a file without weights.
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, [outputs[PROBABILITY], outputs[LOGIT_MAP]]))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    with contextlib.redirect_stdout(io.StringIO()):  # it lists every variable
        converted: bytes = converter.convert()
    return converted


def shapes(model: keras.Model, recipe: Recipe) -> Shapes:
    """Input and outputs of the converted file."""
    spec = recipe.input
    return Shapes((1, spec.height, spec.width, spec.channels), (1, 1), (1, *model.output[LOGIT_MAP].shape[1:]))
