"""The runtime LiteRT, TensorFlow Lite under its present name."""

from pathlib import Path

from ai_edge_litert.interpreter import Interpreter

from edge.errors import ModelError


def open_interpreter(path: Path, threads: int) -> Interpreter:
    """
    Load a .tflite file on the CPU, through XNNPACK.

    The file is read, not mapped: if it is cut short later, the loaded model is still whole.

    Raises:
        ModelError: LiteRT does not take the file.
    """
    try:
        return Interpreter(model_content=path.read_bytes(), num_threads=threads)
    except (OSError, ValueError, RuntimeError) as error:
        msg = f"{path}: litert cannot load it: {error}"
        raise ModelError(msg) from None
