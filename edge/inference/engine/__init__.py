"""
Runtimes behind one Protocol: one file each, chosen by name.

Adding a runtime is adding a file with an `open_interpreter`.
"""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge.errors import ModelError
from edge.inference.engine.base import Engine, Scores, Shapes
from edge.inference.engine.tflite import TfliteEngine

__all__ = ["BACKENDS", "Engine", "Scores", "Shapes", "open_engine"]

BACKENDS: Final[Mapping[str, str]] = {
    "litert": "edge.inference.engine.litert",
    "tflite-runtime": "edge.inference.engine.tflite_runtime",
}
"""The module of each runtime, by preference: `auto` takes the first that is installed."""

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # the runtimes greet on stderr otherwise


def open_engine(backend: str, path: Path, shapes: Shapes, threads: int = 1) -> Engine:
    """
    Load one model file.

    Args:
        backend: a key of BACKENDS, or `auto` for the first of them that is installed.
        path: a .tflite file.
        shapes: those that the input and the outputs must have.
        threads: the number for one inference.

    Raises:
        ModelError: the runtime is not installed, or the file is not what the manifest says.
    """
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
