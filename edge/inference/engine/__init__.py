"""
Runtimes behind one Protocol: one file each, chosen by name. Adding a runtime is adding a file with
an `open_interpreter`.
"""

import importlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError

BACKENDS: Final[Mapping[str, str]] = {
    "litert": "edge.inference.engine.litert",
    "tflite-runtime": "edge.inference.engine.tflite_runtime",
}
"""By preference: `auto` takes the first that is installed."""

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # the runtimes greet on stderr otherwise


@dataclass(frozen=True, slots=True)
class Scores:
    """What one inference gives."""

    raw: float
    """The probability output, 0 to 1."""
    logit_map: NDArray[np.float32] | None
    """Shape (rows, columns), or None where the model has no such output."""
    features: NDArray[np.float32] | None = None
    """
    The backbone's features, averaged over the image, shape (channels,); None where the model has no
    such output.
    """


@dataclass(frozen=True, slots=True)
class Shapes:
    """
    What a model file must look like. Outputs are told apart by their shapes, so no two may be the
    same.
    """

    input: tuple[int, ...]
    probability: tuple[int, ...]
    logit_map: tuple[int, ...] | None = None
    features: tuple[int, ...] | None = None


class Engine(Protocol):
    """One loaded model file."""

    @property
    def backend(self) -> str:
        """`litert`, `tflite-runtime`, ..."""
        ...

    @property
    def threads(self) -> int:
        """Of one inference."""
        ...

    def infer(self, tensor: NDArray[np.float32]) -> Scores:
        """
        Run the model once.

        Args:
            tensor: shape (1, height, width, channels), float32 in the model's range.

        Raises:
            InferenceError: it ended with an error, or gave no usable number.
        """
        ...


class Interpreter(Protocol):
    """What TensorFlow Lite's interpreter offers under either of its names."""

    def allocate_tensors(self) -> None: ...  # noqa: D102
    def get_input_details(self) -> Sequence[dict[str, Any]]: ...  # noqa: D102
    def get_output_details(self) -> Sequence[dict[str, Any]]: ...  # noqa: D102
    def set_tensor(self, index: int, value: NDArray[Any], /) -> None: ...  # noqa: D102
    def get_tensor(self, index: int, /) -> NDArray[Any]: ...  # noqa: D102
    def invoke(self) -> None: ...  # noqa: D102


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), in a form that no logit overflows."""
    return 0.5 + 0.5 * math.tanh(logit / 2)


def open_engine(backend: str, path: Path, shapes: Shapes, threads: int = 1) -> Engine:
    """
    Load one model file.

    Args:
        backend: a key of BACKENDS, or `auto` for the first of them that is installed.
        path: a .tflite file.
        shapes: what its input and outputs must be.
        threads: of one inference.

    Raises:
        ModelError: the runtime is not installed, or the file is not what the manifest says.
    """
    # it implements what stands here
    # it implements what stands here
    from edge.inference.engine.tflite import TfliteEngine  # noqa: PLC0415

    if backend not in {"auto", *BACKENDS}:
        msg = f"the runtime is {backend!r}, expected auto, {' or '.join(BACKENDS)}"
        raise ModelError(msg)
    for name in BACKENDS if backend == "auto" else [backend]:
        try:
            module = importlib.import_module(BACKENDS[name])
        except ImportError:
            continue
        return TfliteEngine(name, module.open_interpreter(path, threads), shapes, threads)
    what = "no runtime is" if backend == "auto" else f"{backend} is not"
    msg = (
        f"{what} installed: pip install ai-edge-litert, or the extra "
        "mammo-edge[tflite-runtime] in an environment of its own"
    )
    raise ModelError(msg)
