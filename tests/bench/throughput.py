"""Measure images a second with one, two and four workers, beside a bare multiprocessing loop."""

import multiprocessing
import os
import time
from pathlib import Path
from typing import Final

from deploy.demo.brokers import Mosquitto
from edge.config.settings import Settings
from edge.daemon.workers.servable import job_for
from edge.inference import examiner
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from tests.bench.daemon import Measured
from tests.bench.page import Section, Target, table
from tests.bench.plan import Plan, another
from tests.bench.stats import Figures, figures, ratio
from tests.support.rig import sha256

ABOUT: Final = """Files of 13 megapixels, RLE, four to a study, renamed into the inbox all at once; images a second from the first rename to the last PUBACK.
The bare loop is `multiprocessing.Pool` with as many processes over the same files: decode, prepare, infer, nothing kept.
Rounds in turns.
Broker, harness and supervisor have the same cores as the workers: the last column is what the supervisor takes of them for one image, most of it for SHA-256 and for bringing 11 MB to the disk, which the bare loop does not do.

"""
HEAD: Final = (
    "workers",
    "daemon, images/s",
    "bare loop, images/s",
    "daemon / bare loop",
    "daemon / daemon with one",
    "supervisor, processor ms an image",
)


def by_workers(plan: Plan) -> Section:
    """Measure; returns the section with its table and targets."""
    workers = (1, 2) if plan.quick else (1, 2, 4)
    ours: dict[int, list[float]] = {count: [] for count in workers}
    theirs: dict[int, list[float]] = {count: [] for count in workers}
    taken: dict[int, list[float]] = {count: [] for count in workers}
    for number in range(plan.times(5, 1)):
        for count in workers:
            folder = plan.folder / f"throughput-{number}-{count}"
            theirs[count].append(_bare(plan, folder.with_name(folder.name + "-bare"), count))
            rate, supervisor_ms = _daemon(plan, folder, count)
            ours[count].append(rate)
            taken[count].append(supervisor_ms)
    rows = [
        [
            count,
            figures(ours[count], 2),
            figures(theirs[count], 2),
            ratio(ours[count], theirs[count], 2),
            ratio(ours[count], ours[1], 2),
            figures(taken[count]),
        ]
        for count in workers
    ]
    two, beside, loop = (
        ratio(ours[2], ours[1], 2),
        ratio(ours[2], theirs[2], 2),
        ratio(theirs[2], theirs[1], 2),
    )
    return Section(
        "Throughput", ABOUT + table(HEAD, rows), _targets(two, beside, loop, figures(taken[2]))
    )


def _files(plan: Plan, folder: Path) -> list[Path]:
    """Make distinct files, which are in the disk's cache afterwards."""
    folder.mkdir(parents=True)
    data = plan.mammogram.read_bytes()
    paths = [folder / f"{number}.dcm" for number in range(plan.times(40, 3))]
    for path in paths:
        path.write_bytes(another(data))
    return paths


def _bare(plan: Plan, folder: Path, count: int) -> float:
    paths = _files(plan, folder)
    job = job_for(Settings(), verify(shipped_bundle()))
    with multiprocessing.get_context("spawn").Pool(count, examiner.start, job.arguments) as pool:
        pool.map(examiner.run, map(str, paths[:1] * count), chunksize=1)
        start = time.perf_counter()
        for _ in pool.imap_unordered(examiner.run, map(str, paths)):
            pass
        took = time.perf_counter() - start
    _remove(paths)
    return len(paths) / took


def _daemon(plan: Plan, folder: Path, count: int) -> tuple[float, float]:
    """Measure the daemon: images a second, and the supervisor's processor time in ms an image."""
    with Mosquitto(plan.folder / f"broker-{folder.name}") as broker:
        daemon = Measured(folder, broker.port, workers=count)
        paths = _files(plan, folder / "ready")
        image_ids = {sha256(path.read_bytes()) for path in paths}
        with daemon:
            daemon.warm_up(plan.mammogram.read_bytes())
            start, before = time.monotonic(), daemon.processor_s()
            for path in paths:
                path.rename(daemon.inbox / path.name)
            end = max(
                moment
                for image_id, moment in daemon.wait_for(image_ids).items()
                if image_id in image_ids
            )
            taken = daemon.processor_s() - before
        _remove(list(daemon.done.iterdir()))
        return len(paths) / (end - start), taken / len(paths) * 1000


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink()


def _targets(two: Figures, beside: Figures, loop: Figures, taken: Figures) -> tuple[Target, ...]:
    cores = os.cpu_count() or 1
    limit = (
        f"{cores} cores, which supervisor ({taken.median:.0f} ms of "
        "them an image), broker and harness use too;"
        f" the bare loop gains {loop.median:.2f} x from its second process"
    )
    return (
        Target(
            "throughput with two workers",
            "at least 1.8 x one",
            f"{two.median:.2f} x",
            two.median >= 1.8,
            limit,
        ),
        Target(
            "throughput with two workers, beside a bare loop",
            "at least 90 %",
            f"{beside.median:.0%}",
            beside.median >= 0.9,
            limit,
        ),
    )
