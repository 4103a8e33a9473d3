"""
Measure from the close of a file in the inbox to the PUBACK of its result, beside the bare work.
"""

import hashlib
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from deploy.demo.brokers import Mosquitto
from deploy.demo.subscriber import Subscriber
from edge.cli.bench import Bench
from edge.inference.image import Limits, open_mammogram
from edge.inference.preprocess import prepare
from edge.system import files
from tests.bench.bare import decoders
from tests.bench.daemon import Measured
from tests.bench.encodings import ms
from tests.bench.page import Section, Target, table
from tests.bench.plan import Plan, another
from tests.bench.stats import figures
from tests.bench.transcode import J2K, RAW, RLE, SV1

WANTED: Final = (RLE, RAW, SV1, J2K)
PARTS: Final = ("close to claimed", "claimed to examined", "in the worker", "examined to PUBACK")
HEAD: Final = (
    "encoding",
    "files",
    "p50",
    "p95",
    "p99",
    "bare, p50",
    "over bare",
    "x bare",
    "in one process, p50",
    *PARTS,
)
ABOUT: Final = """The real daemon with one worker and the real mosquitto, one file at a time; `bare` is the fastest decoder call at hand + `prepare` + `invoke()`, *in one process* our own decoding (file, header, LUTs) + `prepare` + `invoke()`, both right before.
Both clocks are the machine's monotonic one: the daemon notes when `MqttSink.send` returns, which it does at the PUBACK.
*Close to claimed* is the event and the move into the spool; *claimed to examined* the worker and the ways to it and back, and beside it the SHA-256, the fsync of the file and the ledger's transaction; *in the worker* its own steps alone; *examined to PUBACK* what of those took longer than the worker, the ledger's second transaction and the broker.
Files come one after the other without a pause, four to a study.
Parts are medians.

"""
RATIO: Final = 1.15
EXTRA_MS: Final = 15.0


def close_to_puback(plan: Plan, loaded: Bench, encoded: dict[str, Path]) -> Section:
    """Measure; returns the section with its table and two targets."""
    others = {} if plan.quick else {name: encoded[name] for name in WANTED[1:] if name in encoded}
    wanted = {RLE: plan.mammogram} | others
    times: dict[str, dict[str, list[float]]] = {
        name: {part: [] for part in ("all", "bare", "alone", *PARTS)} for name in wanted
    }
    bare = {name: _bare(loaded, file) for name, file in wanted.items()}
    with Mosquitto(plan.folder / "broker-latency") as broker, Subscriber(broker.port) as subscriber:
        daemon = Measured(plan.folder / "latency", broker.port, subscriber)
        with daemon:
            daemon.warm_up(plan.mammogram.read_bytes())
            for number in range(plan.times(100, 2)):
                for name, file in wanted.items():
                    times[name]["bare"].append(ms(bare[name]))
                    _one(daemon, loaded, another(file.read_bytes()), f"{number}.dcm", times[name])
            text = ABOUT + table(HEAD, [_row(name, found) for name, found in times.items()])
            return Section("File close to PUBACK", text, _targets(times[RLE]))


def _one(
    daemon: Measured, loaded: Bench, data: bytes, name: str, times: dict[str, list[float]]
) -> None:
    copy = daemon.folder / "bare.dcm"
    files.write(copy, data)  # synced: else the daemon's fsync would pay for these bytes too
    times["alone"].append(ms(lambda: _alone(loaded, copy)))
    image_id, epoch = hashlib.sha256(data).hexdigest(), time.time() - time.monotonic()
    closed = daemon.close_into_inbox(name, data)
    puback = daemon.wait_for({image_id})[image_id]
    result = daemon.result_of(image_id)
    timing: dict[str, float] = result["timing_ms"]
    claimed = datetime.fromisoformat(result["source"]["received_at"]).timestamp() - epoch
    whole, before = (puback - closed) * 1000, (claimed - closed) * 1000
    inside = sum(timing[step] for step in ("decode", "prepare", "infer"))
    parts = (before, timing["total"], inside, whole - before - timing["total"])
    times["all"].append(whole)
    for part, value in zip(PARTS, parts, strict=True):
        times[part].append(value)


def _alone(loaded: Bench, path: Path) -> None:
    """Measure our decoding, preparing and the bare network in one process, without a daemon."""
    prepare(open_mammogram(path, Limits()), loaded.bundle.manifest.input)
    loaded.bare_invoke()


def _bare(loaded: Bench, path: Path) -> Callable[[], None]:
    """Measure the work that cannot be avoided: the fastest decoder call, `prepare`, `invoke()`."""
    calls = decoders(path)
    decode = calls[min(calls, key=lambda name: min(ms(calls[name]) for _ in range(3)))]
    image, spec = open_mammogram(path, Limits()), loaded.bundle.manifest.input

    def once() -> None:
        decode()
        prepare(image, spec)
        loaded.bare_invoke()

    return once


def _row(name: str, times: dict[str, list[float]]) -> list[object]:
    whole, least = figures(times["all"]), figures(times["bare"])
    parts = [f"{figures(times[part]).median:.1f}" for part in PARTS]
    shares = [f"{whole.percentile(percent):.1f}" for percent in (50, 95, 99)]
    extra = whole.median - least.median
    alone = f"{figures(times['alone']).median:.1f}"
    return [
        name,
        len(whole.values),
        *shares,
        f"{least.median:.1f}",
        f"{extra:+.1f}",
        f"{whole.median / least.median:.2f}",
        alone,
        *parts,
    ]


def _targets(times: dict[str, list[float]]) -> tuple[Target, ...]:
    whole, least = figures(times["all"]).median, figures(times["bare"]).median
    parts = ", ".join(
        f"{part} {figures(times[part]).median:.1f} ms" for part in PARTS if part != "in the worker"
    )
    more = figures(times["in the worker"]).median - least
    limit = f"the worker's steps beside the bare ones {more:+.1f} ms; around the worker: {parts}"
    what = "file close to PUBACK, 13 megapixels, RLE, p50"
    return (
        Target(
            what, f"at most {RATIO} x bare", f"{whole / least:.2f} x", whole <= RATIO * least, limit
        ),
        Target(
            what,
            f"at most {EXTRA_MS:.0f} ms over bare",
            f"{whole - least:+.1f} ms",
            whole - least <= EXTRA_MS,
            limit,
        ),
    )
