"""
Measure each encoding step by step, beside the fastest bare decoder and the bare network.

It also measures the time that our engine adds to the network.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from edge.cli.bench import Bench
from edge.domain import Rejection
from edge.inference.preprocess import prepare
from tests.bench.bare import decoders
from tests.bench.page import Section, Target, table
from tests.bench.plan import Plan
from tests.bench.stats import figures, ratio
from tests.bench.transcode import COMMANDS, J2K, RAW, RLE, Encoded, encodings

HEAD: Final = (
    "encoding", "MB", "decode", "prepare", "infer", "total", "fastest bare decoder", "", "bare invoke", "total / bare",
)  # fmt: skip
ABOUT: Final = """One worker's work on one mammogram, the same in every encoding.
`total` is the whole examination in the worker; `bare` is the fastest decoder call at hand on the frame's bytes (no file read, no header, no LUT) + `prepare` + `invoke()`, medians of the same rounds.
`decode` includes reading the file, its header, modality, VOI and presentation LUT.

"""


def ms(work: Callable[[], object]) -> float:
    """Measure the milliseconds of one call."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def by_encoding(plan: Plan, loaded: Bench) -> tuple[Section, dict[str, Path]]:
    """Measure; returns the section, and the files by encoding."""
    names = (RAW, RLE, J2K) if plan.quick else tuple(COMMANDS)
    made = encodings(plan.mammogram, plan.folder / "encoded", names)
    rows = [_row(plan, loaded, one) for one in made]
    return Section("Each encoding", ABOUT + table(HEAD, rows)), {
        one.name: one.path for one in made if one.path
    }


def _row(plan: Plan, loaded: Bench, one: Encoded) -> list[object]:
    if one.path is None:
        return [one.name, "", f"not measured: {one.why}", *[""] * 7]
    size = f"{one.path.stat().st_size / 1e6:.1f}"
    bare = decoders(one.path)
    outcome = loaded.examiner.look(one.path).outcome
    if isinstance(outcome, Rejection):
        fastest = min(bare, key=lambda name: ms(bare[name]), default="none")
        return [one.name, size, outcome.text, *[""] * 3, fastest, *[""] * 3]
    steps: dict[str, list[float]] = {
        name: [] for name in ("decode", "prepare", "infer", "total", "invoke")
    }
    calls: dict[str, list[float]] = {name: [] for name in bare}
    for _ in range(plan.times(12, 1)):
        for name, decode in bare.items():
            calls[name].append(ms(decode))
        start = time.perf_counter()
        timing = loaded.examiner.look(one.path).outcome.timing
        steps["total"].append((time.perf_counter() - start) * 1000)
        for name in ("decode", "prepare", "infer"):
            steps[name].append(getattr(timing, name))
        steps["invoke"].append(loaded.bare_invoke())
    fastest = min(calls, key=lambda name: figures(calls[name]).median)
    least = sum(
        figures(values).median for values in (calls[fastest], steps["prepare"], steps["invoke"])
    )
    shown = [figures(steps[name]) for name in ("decode", "prepare", "infer", "total")]
    return [
        one.name,
        size,
        *shown,
        fastest,
        figures(calls[fastest]),
        figures(steps["invoke"]),
        f"{shown[-1].median / least:.2f}",
    ]


def engine_overhead(plan: Plan, loaded: Bench) -> Section:
    """Measure `Engine.infer` beside `Interpreter.invoke`, in turns, either of them first."""
    image = loaded.examiner.look(plan.mammogram).image
    if image is None:
        msg = f"{plan.mammogram} cannot be decoded"
        raise SystemExit(msg)
    tensor = np.array(prepare(image, loaded.bundle.manifest.input).tensor)
    engine = loaded.examiner.engine
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(plan.times(200, 2)):
        if number % 2:
            theirs.append(loaded.bare_invoke())
        ours.append(ms(lambda: engine.infer(tensor)))
        if not number % 2:
            theirs.append(loaded.bare_invoke())
    copies = [ms(lambda: loaded.copy_in(tensor)) for _ in ours]
    found = ratio(ours, theirs, 4)
    rows = [
        ("Engine.infer", figures(ours, 2)),
        ("bare invoke()", figures(theirs, 2)),
        ("ratio, pair by pair", found),
    ]
    rows.append(("of that, copying the input in, alone", figures(copies, 2)))
    text = f"""`Engine.infer` copies the input in, runs `invoke()` and copies score, map and features out.
{len(ours)} pairs:

{table(("", "ms"), rows)}"""
    limit = (
        f"copying the input in, {tensor.nbytes / 1e6:.1f} MB: {figures(copies, 2).median:.2f} ms"
    )
    target = Target(
        "engine over bare `invoke()`",
        "at most 2 %",
        f"{(found.median - 1) * 100:+.1f} %",
        found.median <= 1.02,
        limit,
    )
    return Section("The engine beside the bare interpreter", text, (target,))
