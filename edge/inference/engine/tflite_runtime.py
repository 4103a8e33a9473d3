"""tflite-runtime 2.14, the last release under the old name: Python 3.11, numpy 1."""

from pathlib import Path

from tflite_runtime.interpreter import Interpreter

from edge.errors import ModelError


def open_interpreter(path: Path, threads: int) -> Interpreter:
    """
    Load a .tflite file on the CPU.

    The file is read, not mapped: if it is cut short later, the loaded model is still whole.

    Raises:
        ModelError: the runtime does not take the file, or the environment has numpy 2.
    """
    try:
        return Interpreter(model_content=path.read_bytes(), num_threads=threads)
    except SystemError:
        msg = (
            "tflite-runtime needs numpy 1: install "
            "mammo-edge[tflite-runtime] into an environment of its own"
        )
        raise ModelError(msg) from None
    except (OSError, ValueError, RuntimeError) as error:
        msg = f"{path}: tflite-runtime cannot load it: {error}"
        raise ModelError(msg) from None
