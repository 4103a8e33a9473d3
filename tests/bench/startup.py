"""Measure the time from the start of the process to ready, and its memory after some mammograms."""

import time
from typing import Final

from deploy.demo.brokers import Mosquitto
from edge.cli.bench import Bench
from tests.bench.daemon import Measured
from tests.bench.page import Section, Target, table
from tests.bench.plan import Plan, another
from tests.bench.stats import figures

PEERS: Final = (
    ("GMIC 1.1 (published network, PyTorch, CPU)", "1.1", "657"),
    ("EfficientNet-B0 at 1152 x 896 (PyTorch, CPU)", "1.3", "842"),
)
"""
CPU seconds an image and MB of other programs, measured on a machine like ours when the project
began.
"""
TIMES_RAW: Final = 3.0


def start_and_memory(plan: Plan, loaded: Bench) -> Section:
    """Measure; returns the section with two tables and a target."""
    data = plan.mammogram.read_bytes()
    starts = []
    with Mosquitto(plan.folder / "broker-start") as broker:
        for number in range(plan.times(10, 1)):
            daemon = Measured(plan.folder / f"start-{number}", broker.port)
            starts.append(daemon.start_to_ready())
            if number == 0:
                before = daemon.memory()
                daemon.wait_for(
                    {daemon.drop(f"{one}.dcm", another(data)) for one in range(plan.times(40, 2))}
                )
                after = daemon.memory()
            daemon.stop()
    rows = [[name, f"{before[name].resident:.0f}", *_held(after[name])] for name in after]
    raw = _raw_mib(loaded, plan)
    worker = after["worker 1"]
    peak = (worker.peak - before["worker 1"].resident) / raw
    ours = (
        "mammo-edge, worker",
        f"{_cpu_seconds(plan, loaded):.2f}",
        f"{worker.peak * 1.048576:.0f}",
    )
    text = f"""Start of the process to READY=1 (ledger open, model proved in a worker, inbox watched), {len(starts)} starts: **{figures(starts, 2)} s**.

Memory in MiB, with one worker, at the start and after {plan.times(40, 2)} mammograms of {raw:.0f} MiB of raw pixels; `proportional` counts shared pages once:

{table(("process", "resident at the start", "resident", "proportional", "peak"), rows)}
Beside peers, one image of 13 megapixels, decoding included in ours:

{table(("", "CPU-seconds an image", "MB"), [ours, *PEERS])}"""
    limit = (
        f"{before['worker 1'].resident:.0f} MiB at the start, "
        f"{worker.peak:.0f} at most, raw pixels {raw:.1f}"
    )
    target = Target(
        "peak memory of a worker over its start, in raw pixels",
        "at most 3 x",
        f"{peak:.1f} x",
        peak <= TIMES_RAW,
        limit,
    )
    return Section("Start and memory", text, (target,))


def _held(memory: object) -> list[str]:
    return [f"{getattr(memory, name):.0f}" for name in ("resident", "proportional", "peak")]


def _raw_mib(loaded: Bench, plan: Plan) -> float:
    image = loaded.examiner.look(plan.mammogram).image
    return image.pixels.nbytes / 2**20 if image else 1.0


def _cpu_seconds(plan: Plan, loaded: Bench) -> float:
    values = []
    for _ in range(plan.times(10, 1)):
        start = time.process_time()
        loaded.examiner.look(plan.mammogram)
        values.append(time.process_time() - start)
    return figures(values).median
