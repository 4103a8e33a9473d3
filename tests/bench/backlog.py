"""Measure a backlog of thousands of files: its duration, and the growth of memory."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.demo.brokers import Mosquitto
from edge.storage.known_looks import REMEMBERED
from tests.bench.daemon import PATIENCE_S, Measured
from tests.bench.page import Section, Target, table
from tests.bench.plan import Plan
from tests.bench.stats import figures
from tests.support.rig import film

PICTURE: Final = "benchmarks-backlog.png"
FLAT: Final = 0.01
WARM: Final = 0.1
"""The parts of the run that are compared: memory in its second tenth with that in its last."""
SAMPLE_S: Final = 0.5
HEAD: Final = ("process", "resident MiB", "growth", "growth, second half")


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of the daemon's memory."""

    second: float
    archived: int
    supervisor: float
    """MiB, resident; the next field too."""
    worker: float


def memory_over_time(plan: Plan, picture: Path) -> Section:
    """Measure; returns the section with its table, target and picture."""
    with Mosquitto(plan.folder / "broker-backlog") as broker:
        daemon = Measured(plan.folder / "backlog", broker.port)
        for number in range(plan.backlog):
            (daemon.inbox / f"{number}.png").write_bytes(film(number))
        with daemon:
            samples = _samples(daemon, plan)
    shown = _draw(samples, picture)
    took = samples[-1].second
    memory = {name: [getattr(one, name) for one in samples] for name in ("supervisor", "worker")}
    grew = {name: growth(resident) for name, resident in memory.items()}
    later = {name: growth(resident[len(resident) // 2 :]) for name, resident in memory.items()}
    rows = [
        [name, figures(memory[name]), f"{grew[name]:+.2%}", f"{later[name]:+.2%}"] for name in grew
    ]
    text = f"""{plan.backlog} small films (240 x 320, PNG) lay in the inbox when the daemon started, one worker: {took:.0f} s, {plan.backlog / took:.1f} images/s.
Resident MiB over the run; growth is the mean of the last tenth of the run over that of the second; the other figure is that of the second half alone.

{table(HEAD, rows)}
{shown}
"""
    most = max(grew.values())
    limit = (
        f"supervisor {grew['supervisor']:+.2%}, {later['supervisor']:+.2%} over the second half: it "
        f"remembers {REMEMBERED} files, and its allocator keeps what is free; "
        f"worker {grew['worker']:+.2%}, {later['worker']:+.2%}"
    )
    target = Target(
        f"memory over a backlog of {plan.backlog} files",
        "flat to 1 %",
        f"{most:+.2%}",
        most <= FLAT,
        limit,
    )
    return Section("Backlog", text, (target,))


def _samples(daemon: Measured, plan: Plan) -> list[Sample]:
    start, samples = time.monotonic(), []
    while time.monotonic() - start < PATIENCE_S:
        archived = int(daemon.status()["queue"]["archived"])
        memory = daemon.memory()
        if "worker 1" in memory:
            samples.append(
                Sample(
                    time.monotonic() - start,
                    archived,
                    memory["supervisor"].resident,
                    memory["worker 1"].resident,
                )
            )
        if archived >= plan.backlog and samples:
            return samples
        time.sleep(SAMPLE_S / 10 if plan.quick else SAMPLE_S)
    msg = f"{plan.backlog} files were not done within {PATIENCE_S:.0f} s\n{daemon.words()}"
    raise SystemExit(msg)


def growth(values: Sequence[float]) -> float:
    """Divide the mean of the last tenth by that of the second."""
    tenth = max(1, int(len(values) * WARM))
    second = values[tenth : 2 * tenth] or values[:1]
    return statistics.mean(values[-tenth:]) / statistics.mean(second) - 1


def _draw(samples: Sequence[Sample], path: Path) -> str:
    """Draw the samples; returns the Markdown of the picture."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - of the training extra
    except ImportError:
        return "No picture: matplotlib is missing."
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    seconds = [one.second for one in samples]
    axes.plot(seconds, [one.worker for one in samples], label="worker")
    axes.plot(seconds, [one.supervisor for one in samples], label="supervisor")
    axes.set(
        xlabel="seconds",
        ylabel="resident memory, MiB",
        ylim=(0, None),
        title=f"{samples[-1].archived} files in the inbox at the start",
    )
    files = axes.twinx()
    files.plot(seconds, [one.archived for one in samples], color="0.7", linestyle="--")
    files.set(ylabel="files done (dashed)", ylim=(0, None))
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return f"![memory over time]({path.name})"
