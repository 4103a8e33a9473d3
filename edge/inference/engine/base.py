"""The interface of every runtime, and the values that cross it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.domain import Pooling


@dataclass(frozen=True, slots=True)
class Scores:
    """The outputs of one inference."""

    raw: float
    """The probability output, 0 to 1."""
    logit_map: NDArray[np.float32] | None
    """Shape (rows, columns); None if the model has no such output."""
    features: NDArray[np.float32] | None = None
    """The backbone's features, averaged over the image, shape (channels,); None if it has none."""
    inside: NDArray[np.bool_] | None = None
    """Cells of the map that see the breast, shape (rows, columns), if its highest is the logit."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """
    The shapes that a model file must have.

    Outputs are told apart by their shapes, so no two may be the same.
    """

    input: tuple[int, ...]
    probability: tuple[int, ...]
    logit_map: tuple[int, ...] | None = None
    features: tuple[int, ...] | None = None
    pooling: Pooling = "mean"
    """The way from the logit map to the logit."""
    black: float = 0.0
    """The input's value for black, which alone fills padding and what lies beside the breast."""


class Engine(Protocol):
    """A loaded model file."""

    @property
    def backend(self) -> str:
        """`litert`, `tflite-runtime`, ..."""
        ...

    @property
    def threads(self) -> int:
        """The threads of one inference."""
        ...

    def infer(self, tensor: NDArray[np.float32]) -> Scores:
        """
        Run the model once.

        Args:
            tensor: shape (1, height, width, channels), float32 in the model's range.

        Raises:
            InferenceError: the run ended with an error, or gave no usable number.
        """
        ...


class Interpreter(Protocol):
    """The methods of TensorFlow Lite's interpreter, under either of its names."""

    def allocate_tensors(self) -> None: ...  # noqa: D102
    def get_input_details(self) -> Sequence[dict[str, Any]]: ...  # noqa: D102
    def get_output_details(self) -> Sequence[dict[str, Any]]: ...  # noqa: D102
    def set_tensor(self, index: int, value: NDArray[Any], /) -> None: ...  # noqa: D102
    def get_tensor(self, index: int, /) -> NDArray[Any]: ...  # noqa: D102
    def invoke(self) -> None: ...  # noqa: D102
