"""
The cost of a model file on the edge: time of an inference, memory of the process.

`python -m train.exporting.cost FILE BACKEND SHAPES` measures in a fresh process and prints JSON; it
needs nothing of what training needs, so that the environment of tflite-runtime, which cannot live
beside TensorFlow, runs it too.
"""

import json
import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.inference.engine import Shapes, open_engine
from train.exporting import remote_engine

WARM_UP: Final = 3
RUNS: Final = 21
STATUS: Final = Path("/proc/self/status")


def measure(python: Path, model: Path, shapes: Shapes, backend: str) -> dict[str, Any]:
    """
    Measure one inference with one thread, and the memory, in a fresh process.

    Args:
        python: interpreter of the environment that has the runtime.
        model: a model file.
        shapes: of its input and outputs.
        backend: `litert` or `tflite-runtime`.

    Raises:
        TrainError: it did not run there; the text ends with that Python's last line.
    """
    command = [
        str(python),
        "-m",
        "train.exporting.cost",
        str(model),
        backend,
        json.dumps(asdict(shapes)),
    ]
    found: dict[str, Any] = json.loads(
        remote_engine.printed(command, f"{backend} did not run the model")
    )
    return found


def main(model: str, backend: str, shapes: str) -> None:
    """Measure here and print JSON."""
    engine = open_engine(backend, Path(model), remote_engine.shapes_from(shapes))
    tensor = np.random.default_rng(0).random(remote_engine.shapes_from(shapes).input, np.float32)
    taken_ms = []
    for _ in range(WARM_UP + RUNS):
        start = time.perf_counter()
        engine.infer(tensor)
        taken_ms.append((time.perf_counter() - start) * 1000)
    taken_ms = sorted(taken_ms[WARM_UP:])
    numbers = {
        "threads": 1,
        "median_ms": round(statistics.median(taken_ms), 2),
        "least_ms": round(taken_ms[0], 2),
        "memory_mb": _memory_mb(),
    }
    print(json.dumps(numbers))  # noqa: T201 - this is a command


def _memory_mb() -> float | None:
    """Read the resident memory of this process; None if the system does not say it."""
    if not STATUS.exists():
        return None
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS:"))
    return round(int(line.split()[1]) / 1024, 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
