"""`mammo-edge bench`: the time of each step for one image, beside the bare network."""

import json
import os
import platform
import statistics
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge import NOTICE, __version__
from edge.cli.output import print_table
from edge.config.load import load
from edge.config.settings import Settings
from edge.daemon.workers.servable import access_of
from edge.domain import Rejection
from edge.inference.engine.tflite import TfliteEngine
from edge.inference.examiner import open_examiner
from edge.inference.image import Limits
from edge.inference.trace import Trace
from edge.models.active import shipped_bundle
from edge.models.bundle import Bundle, verify
from edge.system.files import regular_below

WARM_UP: Final = 2
"""Rounds that do not count: the first ones fill caches and touch memory."""
STEPS: Final = ("decode", "prepare", "infer", "total", "bare_invoke")


def run(arguments: Namespace) -> int:
    """Measure and print; returns the exit status."""
    settings = load(arguments.config) if arguments.config else Settings()
    machine, files = bench(arguments.paths, settings, arguments.bundle, arguments.rounds)
    if arguments.json:
        print(json.dumps(machine | {"files": [as_json(measured) for measured in files]}))
        return 0
    print_table(("file", "MP", *STEPS, "infer / bare"), [_row(measured) for measured in files])
    print(
        f"milliseconds: median (lowest-highest) of {arguments.rounds} rounds",
        *machine.values(),
        NOTICE,
        sep="\n",
    )
    return 0


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds of one step over all rounds."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.lowest:.1f}-{self.highest:.1f})"


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of one file."""

    path: Path
    rejected: str | None
    """The reason for no score; None for a scored file."""
    format: str
    megapixels: float
    steps: dict[str, Spread]
    """By STEPS; empty for a rejected file."""
    overhead: float
    """Median over the rounds of infer / bare invoke - 1; both of a round run in turn."""


class Bench:
    """
    A bundle, loaded as a worker loads it.

    Args:
        settings: the configuration; its sections `model` and `worker` count.
        folder: the bundle's; None for the configured or shipped one.

    Raises:
        ModelError: the bundle is not usable.
    """

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        worker, model = settings.worker, settings.model
        self.bundle: Bundle = verify(folder or model.bundle or shipped_bundle())
        limits = Limits(
            worker.max_file_mb * 2**20, worker.max_megapixels * 1_000_000, model.implants
        )
        access = access_of(settings, self.bundle)
        self.examiner = open_examiner(
            self.bundle,
            model.processor_backend,
            model.threads,
            model.operating_point,
            limits,
            access,
            decide_unmeasured=model.decide_unmeasured,
        )

    @property
    def built_in(self) -> list[Path]:
        """The bundle's own pictures."""
        answers = self.bundle.manifest.model_of(self.examiner.runtime.file).known_answers
        return [self.bundle.folder / answer.image for answer in answers]

    @property
    def machine(self) -> dict[str, str]:
        """The machine, software and model that the figures hold for."""
        manifest, runtime = self.bundle.manifest, self.examiner.runtime
        size = f"{manifest.input.width} x {manifest.input.height}"
        quantization = manifest.model_of(runtime.file).quantization
        without = {"without_accelerator": f"Coral: {runtime.without}"} if runtime.without else {}
        return without | {
            "machine": (
                f"{platform.machine()}, {processor()}, {os.cpu_count()} "
                f"cores, Linux {platform.release()}"
            ),
            "software": (
                f"mammo-edge {__version__}, Python {platform.python_version()}, {runtime.backend}"
            ),
            "model": (
                f"{manifest.name} {manifest.version}, {runtime.file}, "
                f"{quantization}, {size}, threads: {runtime.threads}"
            ),
        }

    def measure(self, path: Path, rounds: int) -> Measured:
        """
        Examine one file `rounds` times, the bare network after each.

        Raises:
            Unavailable: the file is missing or cannot be read.
        """
        seen = self.examiner.look(path)
        facts = seen.outcome.facts
        kind, megapixels = (facts.format, facts.rows * facts.columns / 1e6) if facts else ("", 0.0)
        if isinstance(seen.outcome, Rejection):
            return Measured(path, seen.outcome.text, kind, megapixels, {}, 0.0)
        times = list(self._rounds(path, rounds))
        steps = {step: _spread([one[step] for one in times]) for step in STEPS}
        return Measured(
            path,
            None,
            kind,
            megapixels,
            steps,
            statistics.median(one["infer"] / one["bare_invoke"] for one in times) - 1,
        )

    def _rounds(self, path: Path, rounds: int) -> Iterator[dict[str, float]]:
        for number in range(WARM_UP + rounds):
            start = time.perf_counter()
            seen = self.examiner.look(path)
            total = (time.perf_counter() - start) * 1000
            bare = self.bare_invoke()
            if number >= WARM_UP:
                yield _steps(seen) | {"total": total, "bare_invoke": bare}

    def bare_invoke(self) -> float:
        """Time the interpreter's `invoke()` alone, on the last image's input, in milliseconds."""
        interpreter = self._engine.interpreter
        start = time.perf_counter()
        interpreter.invoke()
        return (time.perf_counter() - start) * 1000

    def copy_in(self, tensor: NDArray[np.float32]) -> None:
        """Hand the interpreter an input and do nothing with it."""
        self._engine.set_input(tensor)

    @property
    def _engine(self) -> TfliteEngine:
        engine = self.examiner.engine
        if not isinstance(engine, TfliteEngine):
            msg = f"{engine.backend} has no interpreter to be timed alone"
            raise TypeError(msg)
        return engine


def bench(
    paths: Sequence[Path], settings: Settings, folder: Path | None, rounds: int
) -> tuple[dict[str, str], Iterator[Measured]]:
    """
    Measure files one after the other; of a folder, all files below it.

    Args:
        paths: files and folders; none for the bundle's own pictures.
        settings: the configuration; its sections `model` and `worker` count.
        folder: the bundle's; None for the configured or shipped one.
        rounds: counted examinations of each file.

    Returns:
        The machine, software and model, and the figures as they come.
    """
    loaded = Bench(settings, folder)
    files = [file for path in paths for file in regular_below(path)] if paths else loaded.built_in
    return loaded.machine, (loaded.measure(file, rounds) for file in files)


def as_json(measured: Measured) -> dict[str, Any]:
    """Return one file's figures for a program; times in milliseconds."""
    steps = {
        step: [round(value, 3) for value in (spread.median, spread.lowest, spread.highest)]
        for step, spread in measured.steps.items()
    }
    facts = {
        "path": str(measured.path),
        "rejected": measured.rejected,
        "format": measured.format,
        "megapixels": measured.megapixels,
    }
    return facts | {
        "median_lowest_highest_ms": steps,
        "infer_over_bare_invoke": 1 + measured.overhead if steps else None,
    }


def processor() -> str:
    """Return the processor's name, as Linux knows it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            return next(
                (
                    line.partition(":")[2].strip()
                    for line in lines
                    if line.startswith(("model name", "Model"))
                ),
                "unknown",
            )
    except OSError:
        return "unknown"


def _row(measured: Measured) -> tuple[object, ...]:
    start = (measured.path, f"{measured.megapixels:.1f}")
    if measured.rejected:
        return (*start, measured.rejected)
    return (*start, *measured.steps.values(), f"{1 + measured.overhead:.3f}")


def _steps(trace: Trace) -> dict[str, float]:
    timing = trace.outcome.timing
    return {"decode": timing.decode, "prepare": timing.prepare, "infer": timing.infer}


def _spread(values: list[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values))
