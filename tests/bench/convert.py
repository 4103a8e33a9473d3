"""
Convert the shipped network for other runtimes: `python convert.py MODEL.tflite FOLDER FILM...`.

It writes float.onnx and int8.onnx, and prints as JSON why any of them could not be made. Its
dependencies (requirements/bench.in) are the benchmark's alone.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.inference.image import Limits, open_mammogram
from edge.inference.preprocess import prepare
from edge.models.manifest import read_manifest

OPSET: Final = "17"


def main() -> int:
    """Make both files; returns 0 whichever of them could be made."""
    model, folder = Path(sys.argv[1]), Path(sys.argv[2])
    manifest = read_manifest((model.parent / "bundle.json").read_bytes())
    films = [
        prepare(open_mammogram(Path(film), Limits()), manifest.input).tensor
        for film in sys.argv[3:]
    ]
    steps: dict[str, Callable[[], None]] = {
        "float.onnx": lambda: _float_onnx(model, folder / "float.onnx"),
        "int8.onnx": lambda: _int8_onnx(folder, films),
    }
    sys.stdout, say = sys.stderr, sys.stdout  # the converters print
    failed = {name: why for name, step in steps.items() if (why := _try(step))}
    print(json.dumps(failed), file=say)
    return 0


def _try(step: Callable[[], None]) -> str | None:
    try:
        step()
    except ImportError as error:
        return f"{error.name} is not installed"
    except Exception as error:  # noqa: BLE001 - a converter raises anything; the row says it
        return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:120]}"
    return None


def _float_onnx(model: Path, target: Path) -> None:
    import tf2onnx  # noqa: F401, PLC0415 - is it there?

    command = [
        sys.executable,
        "-m",
        "tf2onnx.convert",
        "--tflite",
        str(model),
        "--output",
        str(target),
        "--opset",
        OPSET,
    ]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if ended.returncode:
        raise RuntimeError(ended.stderr.strip().rpartition("\n")[2])


def _int8_onnx(folder: Path, films: list[NDArray[np.float32]]) -> None:
    from onnxruntime import InferenceSession  # noqa: PLC0415
    from onnxruntime.quantization import (  # noqa: PLC0415
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    prepared, target = folder / "prepared.onnx", folder / "int8.onnx"
    quant_pre_process(str(folder / "float.onnx"), str(prepared), skip_symbolic_shape=True)
    name = InferenceSession(str(prepared), providers=["CPUExecutionProvider"]).get_inputs()[0].name

    class Films(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.float32]] = iter(films)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            tensor = next(self._left, None)
            return None if tensor is None else {name: tensor}

    kinds: dict[str, Any] = {
        "activation_type": QuantType.QInt8,
        "weight_type": QuantType.QInt8,
        "quant_format": QuantFormat.QDQ,
    }
    quantize_static(str(prepared), str(target), Films(), per_channel=True, **kinds)


if __name__ == "__main__":
    sys.exit(main())
