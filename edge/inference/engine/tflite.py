"""A TensorFlow Lite model: outputs told apart by their shapes, quantised or not."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import InferenceError, ModelError
from edge.inference.engine.base import Interpreter, Scores, Shapes
from edge.inference.engine.pooling import cells_inside, pooled
from edge.models.calibration import sigmoid

ROUNDING: Final = 0.01
"""The distance beyond 0 and 1 that arithmetic and quantisation may carry a probability."""


class TfliteEngine:
    """
    A loaded model file.

    Raises:
        ModelError: the input or an output is not as the manifest says.
    """

    def __init__(
        self, backend: str, interpreter: Interpreter, shapes: Shapes, threads: int
    ) -> None:
        self.backend = backend
        self.threads = threads
        self.interpreter = interpreter
        try:
            with _silence():
                interpreter.allocate_tensors()
        except RuntimeError as error:  # an unknown operator, or one compiled for an accelerator
            msg = f"{backend} cannot run the model: {error}"
            raise ModelError(msg) from None
        outputs = interpreter.get_output_details()
        self._input = _only([interpreter.get_input_details()[0]], shapes.input, "input")
        self._probability = _only(outputs, shapes.probability, "output `probability`")
        self._logit_map = (
            _only(outputs, shapes.logit_map, "output `logit_map`") if shapes.logit_map else None
        )
        self._features = (
            _only(outputs, shapes.features, "output `features`") if shapes.features else None
        )
        self._pooling, self._black = shapes.pooling, shapes.black
        _refuse_ambiguous(shapes)

    def infer(self, tensor: NDArray[np.float32]) -> Scores:
        """
        Run the model once.

        Args:
            tensor: shape (1, height, width, channels), float32 in the model's range.

        Raises:
            InferenceError: the run ended with an error, gave no number from 0 to 1, or a map with
                numbers that are not finite.
        """
        self.set_input(tensor)
        try:
            self.interpreter.invoke()
        except RuntimeError as error:
            msg = f"{self.backend} failed at the image: {error}"
            raise InferenceError(msg) from None
        logit_map = None if self._logit_map is None else self._read(self._logit_map)[0, :, :, 0]
        inside = None
        if logit_map is not None and self._pooling == "max":
            inside = cells_inside(tensor, logit_map.shape, self._black)
        if logit_map is not None and (
            inside is not None or self._probability["dtype"] is not np.float32
        ):
            # An int8 probability has about 50 levels, the highest cell 256, the mean thousands.
            raw = sigmoid(pooled(logit_map, self._pooling, inside))
        else:
            raw = float(self._read(self._probability).reshape(-1)[0])
        if not -ROUNDING <= raw <= 1 + ROUNDING:  # not a number is neither
            msg = f"the model's output is {raw}, expected a number from 0 to 1"
            raise InferenceError(msg)
        if logit_map is not None and not np.isfinite(logit_map).all():
            msg = "the model's map holds numbers that are not finite"
            raise InferenceError(msg)
        features = None if self._features is None else self._read(self._features)[0]
        return Scores(min(1.0, max(0.0, raw)), logit_map, features, inside)

    def set_input(self, tensor: NDArray[np.float32]) -> None:
        """Copy the input into the interpreter, quantised if the model is; `infer` calls this."""
        self.interpreter.set_tensor(self._input["index"], _quantise(tensor, self._input))

    def _read(self, detail: dict[str, Any]) -> NDArray[np.float32]:
        values: NDArray[np.float32] = self.interpreter.get_tensor(detail["index"])
        scale, zero_point = detail["quantization"]
        if values.dtype == np.float32 or not scale:
            return values
        return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


@contextmanager
def _silence() -> Iterator[None]:
    """
    Keep the runtime's greetings off stderr.

    They are written below Python, and no setting stops them. Errors come as exceptions.
    """
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _quantise(tensor: NDArray[np.float32], detail: dict[str, Any]) -> NDArray[Any]:
    dtype: np.dtype[Any] = np.dtype(detail["dtype"])
    if dtype == np.float32:
        return tensor
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(dtype)
    rounded: NDArray[np.float32] = tensor / scale  # one array: a new one a step costs as much
    np.rint(rounded, out=rounded)
    rounded += zero_point
    np.clip(rounded, limits.min, limits.max, out=rounded)
    return rounded.astype(dtype)


def _refuse_ambiguous(shapes: Shapes) -> None:
    outputs = [shape for shape in (shapes.probability, shapes.logit_map, shapes.features) if shape]
    if len(set(outputs)) < len(outputs):
        msg = (
            "outputs are told apart by their shapes, the manifest "
            f"gives two of them the same: {outputs}"
        )
        raise ModelError(msg)


def _only(details: Any, shape: tuple[int, ...] | None, what: str) -> dict[str, Any]:  # noqa: ANN401
    found = [tuple(int(size) for size in detail["shape"]) for detail in details]
    matching = [detail for detail, there in zip(details, found, strict=True) if there == shape]
    if len(matching) != 1:
        msg = f"{what}: the model has shapes {found}, the manifest says {shape}"
        raise ModelError(msg)
    detail: dict[str, Any] = matching[0]
    return detail
