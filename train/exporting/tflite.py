"""The conversion from Keras to TensorFlow Lite."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edge.domain import InputSpec
from edge.inference.engine import Shapes
from train.data.films import model_input
from train.fitting.network import FEATURES, LOGIT_MAP, PROBABILITY, pooling
from train.progress import hushed

Quantization: TypeAlias = Literal["float32", "float16", "int8"]

OUTPUTS: Final = (PROBABILITY, LOGIT_MAP, FEATURES)
"""
The outputs of a file, of which only the first is needed.

Without a map there is no heat map, without features the input gate has only its limits.
"""
REPRESENTATIVE: Final = 100
"""The number of training films that show the int8 converter the range of each tensor."""
POOLING: Final = ("SOFTMAX", "MUL", "MEAN", "LOGISTIC")
"""
Operators from the last convolution to the probability.

A softmax over some hundred cells lies below the step of int8.
"""


@dataclass(frozen=True, slots=True)
class Conversion:
    """A way to convert."""

    file: str
    quantization: Quantization
    float_pooling: bool = False
    """For int8 only: convolutions in int8, what averages them in float."""

    @property
    def name(self) -> str:
        """Give the name for people."""
        return f"{self.quantization}, pooling in float" if self.float_pooling else self.quantization


FLOAT16: Final = Conversion("model.tflite", "float16")
FLOAT32: Final = Conversion("model.tflite", "float32")
INT8: Final = Conversion("model_int8.tflite", "int8")
INT8_FLOAT_POOLING: Final = Conversion("model_int8.tflite", "int8", float_pooling=True)


def convert(
    model: keras.Model, spec: InputSpec, kind: Conversion, films: NDArray[np.float16]
) -> bytes:
    """
    Convert a network to a TensorFlow Lite file of batch size 1.

    float16 weights halve the file, cost no accuracy, and run as float32 in every interpreter back
    to tflite-runtime 2.14. int8 is full integer quantisation after training, input and outputs too,
    unless the pooling stays in float.

    Args:
        model: outputs by name, at least `probability`.
        spec: its input.
        kind: how.
        films: training films as prepared, shape (n, height, width); int8 looks at some of them.

    Returns:
        The file's bytes; its outputs are those that `shapes` says, in any order.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(_one_image(model, spec))
    if kind.quantization != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind.quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    with hushed(), _quiet():
        if kind.quantization != "int8":
            converted: bytes = converter.convert()
            return converted
        return _int8(converter, _examples(films, spec), float_pooling=kind.float_pooling)


def shapes(model: keras.Model, spec: InputSpec) -> Shapes:
    """
    Describe input and outputs of the converted file.

    Probability (1, 1), logit map (1, rows, columns, 1), features (1, channels).
    """
    found = {
        name: (1, *map(int, model.output[name].shape[1:]))
        for name in OUTPUTS
        if name in model.output
    }
    return Shapes(
        (1, spec.height, spec.width, spec.channels),
        found[PROBABILITY],
        found.get(LOGIT_MAP),
        found.get(FEATURES),
        pooling(model),
        spec.low,
    )


def _int8(
    converter: tf.lite.TFLiteConverter,
    examples: Callable[[], Iterator[Any]],
    *,
    float_pooling: bool,
) -> bytes:
    converter.representative_dataset = examples
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if float_pooling:
        options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=list(POOLING))
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=examples, debug_options=options
        )
        mixed: bytes = debugger.get_nondebug_quantized_model()
        return mixed
    converter.inference_input_type = converter.inference_output_type = tf.int8
    whole: bytes = converter.convert()
    return whole


def _examples(
    films: NDArray[np.float16], spec: InputSpec
) -> Callable[[], Iterator[list[NDArray[np.float32]]]]:
    chosen = films[:: max(1, len(films) // REPRESENTATIVE)]

    def each() -> Iterator[list[NDArray[np.float32]]]:
        return ([model_input(film, spec)] for film in chosen)

    return each


def _one_image(model: keras.Model, spec: InputSpec) -> keras.Model:
    """
    Give the network for a batch of one.

    With Keras 3 from_concrete_functions would give a file without weights.
    """
    image = keras.Input(batch_shape=(1, spec.height, spec.width, spec.channels), name="image")
    outputs = model(image)
    return keras.Model(image, [outputs[name] for name in OUTPUTS if name in outputs])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the converter, which lists every variable and warns of what is meant to be."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
