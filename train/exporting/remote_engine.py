"""
Score prepared images with the daemon's engine, here or in the Python of another environment.

`python -m train.exporting.remote_engine FILE BACKEND IMAGES.npy SHAPES` prints the raw scores as
JSON. This module needs nothing of what training needs, so that the environment of tflite-runtime,
which cannot live beside TensorFlow, runs it too.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import edge
from edge.inference.engine import Shapes, open_engine
from train.errors import TrainError

HOUSE: Final = Path(edge.__file__).parent.parent
TIMEOUT_S: Final = 600


def scores(
    model: Path, shapes: Shapes, backend: str, tensors: Iterable[NDArray[np.float32]]
) -> NDArray[np.float64]:
    """
    Score images with the daemon's engine in this process.

    Args:
        model: a model file.
        shapes: of its input and outputs.
        backend: `litert` or `tflite-runtime`.
        tensors: each of shape (1, height, width, channels), in the model's range.
    """
    engine = open_engine(backend, model, shapes)
    return np.array([engine.infer(tensor).raw for tensor in tensors], dtype=np.float64)


def scores_elsewhere(
    python: Path, model: Path, shapes: Shapes, backend: str, tensors: NDArray[np.float32]
) -> NDArray[np.float64]:
    """
    Score images with the engine of another environment.

    Args:
        python: its interpreter; it needs what mammo-edge needs to classify.
        model: a model file.
        shapes: of its input and outputs.
        backend: an engine which is there.
        tensors: shape (n, height, width, channels).

    Raises:
        TrainError: it did not work there; the text ends with that Python's last line.
    """
    with TemporaryDirectory() as folder:
        images = Path(folder) / "images.npy"
        np.save(images, tensors)
        command = [
            str(python),
            "-m",
            "train.exporting.remote_engine",
            str(model),
            backend,
            str(images),
            json.dumps(asdict(shapes)),
        ]
        answer: list[Any] = json.loads(printed(command, f"{backend} did not score"))
    return np.array(answer, dtype=np.float64)


def printed(command: Sequence[str], failure: str) -> str:
    """
    Give what a command prints, run so that another Python finds this code.

    Args:
        command: an interpreter and its arguments.
        failure: text of the error if it fails.

    Raises:
        TrainError: it cannot be started, fails, or takes longer than TIMEOUT_S.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HOUSE), os.environ.get("PYTHONPATH")])),
    }
    try:
        done = subprocess.run(  # noqa: S603 - the interpreter the user named
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=environment
        )
    except OSError as error:
        msg = f"{command[0]}: {error.strerror}"
        raise TrainError(msg) from None
    except subprocess.TimeoutExpired:
        msg = f"{command[0]}: {failure} within {TIMEOUT_S} s"
        raise TrainError(msg) from None
    if done.returncode:
        msg = f"{command[0]}: {failure}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
        raise TrainError(msg)
    return done.stdout


def shapes_from(text: str) -> Shapes:
    """Read shapes that crossed a process border as JSON."""
    values = json.loads(text)
    pooling, black = values.pop("pooling"), values.pop("black")
    shapes = {name: tuple(shape) for name, shape in values.items() if shape}
    return Shapes(**shapes, pooling=pooling, black=black)


def main(model: str, backend: str, images: str, shapes: str) -> None:
    """Print the scores as JSON."""
    found = scores(Path(model), shapes_from(shapes), backend, np.load(images)[:, None])
    print(json.dumps(found.tolist()))  # noqa: T201 - this is a command


if __name__ == "__main__":
    main(*sys.argv[1:])
