"""A Coral accelerator (Edge TPU): libedgetpu as a delegate of the installed runtime."""

import contextlib
import ctypes
import importlib
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import AcceleratorError, ModelError
from edge.inference.engine.base import Interpreter, Scores, Shapes
from edge.inference.engine.tflite import TfliteEngine
from edge.system import coral

NAME: Final = "edgetpu"
ENTRY: Final = "tflite_plugin_create_delegate"
RUNTIMES: Final = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter")
"""The runtimes' modules, by preference; both take such a delegate."""


class EdgeTpuEngine(TfliteEngine):
    """
    One compiled model file on an accelerator that nobody else has.

    A USB accelerator that is pulled out ends the process in libedgetpu's own abort(), also while
    nothing is computed; the errors raised here are the milder ways to lose it.

    Args:
        path: a file that edgetpu_compiler made.
        shapes: those that the input and the outputs must have.
        threads: the number for operators that stay on the processor.
        access: library, device and lock.

    Raises:
        AcceleratorError: there is no library or device, another process has the device, or the
            device does not take the model.
        ModelError: the input or an output is not as the manifest says.
    """

    def __init__(self, path: Path, shapes: Shapes, threads: int, access: coral.Access) -> None:
        _refuse_uncompiled(path)
        _refuse_no_library(access.library)
        self._lock: BinaryIO | None = coral.claim(Path(access.lock))
        try:
            super().__init__(NAME, _open_interpreter(path, threads, access), shapes, threads)
        except BaseException:
            self.close()
            raise

    def infer(self, tensor: NDArray[np.float32]) -> Scores:
        """
        Run the model once, with the same input and output as on the processor.

        Raises:
            AcceleratorError: the accelerator failed, or gave no finite number.
        """
        try:
            return super().infer(tensor)
        except (RuntimeError, ModelError) as error:
            msg = (
                "it failed while it computed: "
                f"{_one_line(error).removeprefix(f'{NAME} failed at the image: ')}"
            )
            raise AcceleratorError(msg) from None

    def close(self) -> None:
        """Give the accelerator back; nothing may be computed after that."""
        vars(self).pop("interpreter", None)  # it has the delegate, and the delegate has the device
        if self._lock is not None:
            self._lock.close()


def _open_interpreter(path: Path, threads: int, access: coral.Access) -> Interpreter:
    runtime = _runtime()
    try:
        delegate = runtime.load_delegate(
            access.library, {"device": access.device} if access.device else {}
        )
    # libedgetpu gives no reason: not found, no right to open it and taken are all the same to it
    except ValueError as error:
        reason = (
            _one_line(error).removeprefix(f"Failed to load delegate from {access.library}").strip()
        )
        msg = (
            "none found, none that this process may open, or another "
            f"program has it{f' ({reason})' if reason else ''}"
        )
        raise AcceleratorError(msg) from None
    try:
        opened: Interpreter = runtime.Interpreter(
            model_content=path.read_bytes(),
            num_threads=threads,
            experimental_delegates=[delegate],
        )
    except (OSError, ValueError, RuntimeError) as error:
        msg = f"it does not take the model: {_one_line(error)}"
        raise AcceleratorError(msg) from None
    return opened


def _refuse_uncompiled(path: Path) -> None:
    """Refuse a file that the delegate would leave to the processor without a word."""
    if coral.CUSTOM_OP not in path.read_bytes():
        msg = (
            f"{path.name} was not compiled by edgetpu_compiler: it "
            f"holds no {coral.CUSTOM_OP.decode()}"
        )
        raise AcceleratorError(msg)


def _refuse_no_library(name: str) -> None:
    """
    Refuse a library that cannot be loaded, or is no delegate.

    load_delegate itself would leave an object behind that complains once more when it is freed.
    """
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        msg = f"no libedgetpu: install libedgetpu1-std ({_one_line(error)})"
        raise AcceleratorError(msg) from None
    if not hasattr(library, ENTRY):
        msg = f"{name} is no TensorFlow Lite delegate: it has no {ENTRY}"
        raise AcceleratorError(msg)


def _runtime() -> Any:  # noqa: ANN401 - a module of one runtime or the other
    for module in RUNTIMES:
        with contextlib.suppress(ImportError):
            return importlib.import_module(module)
    msg = "no runtime is installed: pip install ai-edge-litert"
    raise ModelError(msg)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
