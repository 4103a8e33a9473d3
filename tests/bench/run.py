"""
Measure everything in docs/quality/benchmarks.md anew and write that page: `make bench`.

That takes twenty minutes on a quiet machine of two cores. `--quick` goes the whole way with tiny
files in seconds, to see that everything works.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from edge.cli.bench import Bench
from edge.config.settings import Settings
from tests.bench import (
    backlog,
    encodings,
    latency,
    longer,
    machine,
    page,
    runtimes,
    startup,
    throughput,
)
from tests.bench.page import QUICK, Section
from tests.bench.plan import Plan
from tests.support.tools import ROOT

T = TypeVar("T")

OTHER: Final = ROOT / ".venv-tflite-runtime" / "bin" / "python"


def main() -> int:
    """Measure and write; returns 0 once the page is written, whatever its figures."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="tiny files, few rounds: figures that say nothing"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "docs" / "quality" / "benchmarks.md",
        help="the page; its picture goes beside it",
    )
    parser.add_argument(
        "--tflite-runtime",
        type=Path,
        default=OTHER if OTHER.exists() else None,
        metavar="PYTHON",
        help="of an environment with it",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="X",
        help="do this share of the rounds and files, on a slow device",
    )
    arguments = parser.parse_args()
    if missing := [
        program for program in ("dcmconv", "dcmdrle", "gdcmconv") if shutil.which(program) is None
    ]:
        parser.error(f"{', '.join(missing)} missing: sudo apt install dcmtk libgdcm-tools")
    with tempfile.TemporaryDirectory(prefix="mammo-bench-") as folder:
        plan = Plan(Path(folder), arguments.quick, arguments.tflite_runtime, arguments.scale)
        cautions = [
            caution for caution in (QUICK if plan.quick else None, machine.busy()) if caution
        ]
        loaded = Bench(Settings(), None)
        facts = [*machine.facts(loaded), ("rounds", f"{plan.scale:.0%} of a whole run")]
        sections = list(_sections(plan, loaded, arguments.out))
    arguments.out.write_text(page.page(facts, sections, cautions), encoding="utf-8")
    return 0


def _sections(plan: Plan, loaded: Bench, out: Path) -> Iterator[Section]:
    section, files = _said("each encoding", lambda: encodings.by_encoding(plan, loaded))
    yield section
    yield _said("engine", lambda: encodings.engine_overhead(plan, loaded))
    yield _said("runtimes", lambda: runtimes.side_by_side(plan, loaded.bundle))
    yield _said("file close to PUBACK", lambda: latency.close_to_puback(plan, loaded, files))
    yield _said("throughput", lambda: throughput.by_workers(plan))
    yield _said("start and memory", lambda: startup.start_and_memory(plan, loaded))
    yield _said("backlog", lambda: backlog.memory_over_time(plan, out.with_name(backlog.PICTURE)))
    yield _said("longer backlog", lambda: longer.memory_over_a_longer_one(plan))


def _said(what: str, measure: Callable[[], T]) -> T:
    """Print on stderr the name of a measurement, and its duration."""
    start = time.monotonic()
    found = measure()
    print(f"{what}: {time.monotonic() - start:.0f} s", file=sys.stderr)
    return found
