"""
Compare three runtimes with the shipped network, float and int8, on one and two threads.

Each runs in a child process, and the children are asked in turns.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.models.bundle import Bundle
from tests.bench.page import Section, table
from tests.bench.plan import Plan
from tests.bench.stats import Figures, figures
from tests.support.rig import FILMS

RUNTIMES: Final = ("litert", "tflite-runtime", "onnxruntime")
KINDS: Final = ("float", "int8")
ABOUT: Final = """Bare `invoke()` (onnxruntime: `run`), each runtime in a process of its own, asked in turns.
Both files are the shipped ones; onnxruntime runs what tf2onnx makes of the float file, and its own static quantisation of that: its times are real, its scores are not.

"""
BATCH: Final = 10
"""The number of runs of a child before the next one has its turn."""


@dataclass(frozen=True, slots=True)
class Child:
    """A runtime with a model, or the reason why there is none."""

    runtime: str
    process: "subprocess.Popen[str] | None"
    said: str
    """The version, or the reason why the model does not run."""

    def run(self, count: int) -> list[float]:
        """Run the network a number of times; returns the milliseconds of each run."""
        if self.process is None or self.process.stdin is None or self.process.stdout is None:
            return []
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        times: list[float] = json.loads(self.process.stdout.readline())
        return times


def side_by_side(plan: Plan, bundle: Bundle) -> Section:
    """Measure; returns the section with its table."""
    models, missing = _models(plan, bundle)
    rows = []
    for kind in KINDS:
        for threads in (1, 2):
            found = dict(_group(plan, models, missing, kind, threads))
            rows.append([kind, threads, *(found[runtime] for runtime in RUNTIMES)])
    return Section("Runtimes side by side", ABOUT + table(("network", "threads", *RUNTIMES), rows))


def _models(plan: Plan, bundle: Bundle) -> tuple[dict[str, Path], dict[str, str]]:
    """Give the model files by name, and the reason for each one that could not be made."""
    folder = plan.folder / "models"
    folder.mkdir()
    models = {f"{kind}.tflite": _shipped(bundle, kind) for kind in KINDS}
    if plan.quick:
        return models, dict.fromkeys(("float.onnx", "int8.onnx"), "a quick run converts nothing")
    source = str(models["float.tflite"])
    command = [sys.executable, "-m", "tests.bench.convert", source, str(folder), *map(str, FILMS)]
    missing = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {**models, **{path.name: path for path in folder.iterdir()}}, missing


def _shipped(bundle: Bundle, kind: str) -> Path:
    """Give the bundle's file of a kind: its default one, if that is of it."""
    manifest = bundle.manifest
    names = [manifest.default_model, *manifest.models]
    return bundle.folder / next(
        name for name in names if (manifest.models[name].quantization == "int8") == (kind == "int8")
    )


def _group(
    plan: Plan, models: dict[str, Path], missing: dict[str, str], kind: str, threads: int
) -> Iterator[tuple[str, Figures | str]]:
    with contextlib.ExitStack() as stack:
        children = [
            _open(stack, plan, runtime, models, missing, kind, threads) for runtime in RUNTIMES
        ]
        times: dict[str, list[float]] = {runtime: [] for runtime in RUNTIMES}
        for _ in range(plan.times(10, 1)):
            for child in children:
                times[child.runtime] += child.run(plan.times(BATCH, 1))
        for child in children:
            yield (
                child.runtime,
                figures(times[child.runtime])
                if times[child.runtime]
                else f"not measured: {child.said}",
            )


def _open(  # noqa: PLR0913, PLR0917 - which of many, and where from
    stack: contextlib.ExitStack,
    plan: Plan,
    runtime: str,
    models: dict[str, Path],
    missing: dict[str, str],
    kind: str,
    threads: int,
) -> Child:
    name = f"{kind}.{'onnx' if runtime == 'onnxruntime' else 'tflite'}"
    if name in missing:
        return Child(runtime, None, missing[name])
    python: Path | str | None = (
        plan.tflite_runtime if runtime == "tflite-runtime" else sys.executable
    )
    if python is None:
        return Child(runtime, None, "no environment with it was given")
    command = [
        str(python),
        "-P",
        str(Path(__file__).with_name("child.py")),
        runtime,
        str(models[name]),
        str(threads),
    ]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    stack.callback(_end, process)
    if process.stdout is None:
        raise RuntimeError
    first: dict[str, Any] = json.loads(
        process.stdout.readline() or '{"error": "it ended without a word"}'
    )
    return (
        Child(runtime, None, first["error"])
        if "error" in first
        else Child(runtime, process, first["version"])
    )


def _end(process: "subprocess.Popen[str]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.wait(120)
    if process.stdout is not None:
        process.stdout.close()
