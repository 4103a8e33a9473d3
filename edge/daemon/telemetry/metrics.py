"""The metrics for Prometheus."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.daemon.pipeline.examination import Examination
from edge.daemon.telemetry.counted import COUNTED, RECEIVER
from edge.health import Phase
from edge.models.performance import Look, Measured

BUCKETS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Bounds for the time from worker to verdict, in seconds."""


class HealthMetrics(Collector):
    """
    The numbers of `health`, as Prometheus collects them.

    Args:
        report: returns the fields of `health`.
        performance: measures the bundle that serves, by verdicts on images; None without a ledger.
        exam_performance: measures it by verdicts on exams.
    """

    def __init__(
        self,
        report: Callable[[], Mapping[str, Any]],
        performance: Callable[[], Look] | None = None,
        exam_performance: Callable[[], Look] | None = None,
    ) -> None:
        self._report = report
        self._performance = {"images": performance, "exams": exam_performance}
        self.registry = CollectorRegistry(auto_describe=False)
        self._seconds = Histogram(
            "mammo_edge_examine_seconds",
            "From worker to verdict",
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.registry.register(self)

    def observe(self, examination: Examination) -> None:
        """Note an image that came back from a worker."""
        self._seconds.observe(examination.took_s)

    def text(self) -> bytes:
        """Return the metrics in the exposition format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that come from `health`. Called by prometheus_client."""
        report = self._report()
        model, runtime, queue = report["model"], report["runtime"], report["queue"]
        info = {
            "version": report["version"],
            "model": model["name"],
            "model_version": model["version"],
            "bundle": model["bundle"],
        }
        yield InfoMetricFamily(
            "mammo_edge", "What runs", value=info | {"backend": runtime["backend"]}
        )
        yield _labelled(
            "mammo_edge_state",
            "1 for the state it is in",
            "state",
            {p.value: int(p == report["state"]) for p in Phase},
        )
        yield GaugeMetricFamily(
            "mammo_edge_uptime_seconds", "Since it was started", report["uptime_s"]
        )
        yield GaugeMetricFamily(
            "mammo_edge_fallback",
            "1 where it does not run on the runtime that was asked for",
            int(runtime["fallback"]),
        )
        if report["broker"] is not None:
            yield GaugeMetricFamily(
                "mammo_edge_broker_connected",
                "1 while connected",
                int(report["broker"]["connected"]),
            )
        yield _labelled(
            "mammo_edge_images",
            "Images by where they stand",
            "state",
            {name: queue[name] for name in ("waiting", "examining", "to_archive")},
        )
        yield GaugeMetricFamily(
            "mammo_edge_oldest_waiting_seconds",
            "Age of the oldest image that waits",
            queue["oldest_waiting_s"] or 0,
        )
        yield GaugeMetricFamily(
            "mammo_edge_last_seq", "The last number that a result was given", queue["last_seq"]
        )
        yield _outbox(report["outbox"])
        yield from _receiver(report["receiver"])
        yield from _drift(report["drift"])
        for of, measure in self._performance.items():
            yield from _worth(of, measure()) if measure else ()
        yield from _counters(report["counters"])


def _labelled(name: str, text: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _outbox(outbox: Mapping[str, Mapping[str, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "mammo_edge_undelivered",
        "Results a sink does not have yet; held: it refused them",
        labels=["sink", "state"],
    )
    for sink, counts in outbox.items():
        for state in ("waiting", "held"):
            family.add_metric([sink, state], counts[state])
    return family


def _receiver(receiver: Mapping[str, Any] | None) -> Iterator[Metric]:
    """Yield what the DICOM receiver counts, if senders are configured."""
    if receiver is None:
        return
    running = int(receiver["running"])
    yield GaugeMetricFamily("mammo_edge_receiver_running", "1 while it runs", running)
    if not running:  # counts of 0 would look like a restart, and old ones like new ones after it
        return
    taken = CounterMetricFamily(
        "mammo_edge_receiver_taken", "Objects that the DICOM receiver put into the inbox"
    )
    taken.add_metric([], receiver["taken"])
    yield taken
    for name, (text, causes) in RECEIVER.items():
        family = CounterMetricFamily(f"mammo_edge_receiver_{name}", text, labels=["cause"])
        for cause in causes:
            family.add_metric([cause.value], receiver[name].get(cause, 0))
        yield family
    if receiver["last_taken_at"] is not None:
        last = datetime.fromisoformat(receiver["last_taken_at"]).timestamp()
        yield GaugeMetricFamily(
            "mammo_edge_receiver_last_taken_timestamp_seconds", "When it took the last object", last
        )


def _drift(drift: Mapping[str, float | None]) -> Iterator[GaugeMetricFamily]:
    yield GaugeMetricFamily(
        "mammo_edge_score_drift_images", "Images whose scores are compared", drift["images"] or 0
    )
    index = drift["index"]
    if index is not None:
        yield GaugeMetricFamily(
            "mammo_edge_score_drift",
            "Stability index of the scores against the model's reference",
            index,
        )


def _worth(of: str, found: Look) -> Iterator[GaugeMetricFamily]:
    """Yield the numbers that verdicts give; rates only if there are enough."""
    kind = "" if of == "images" else "exam_"
    yield _labelled(
        f"mammo_edge_verdict_{of}",
        f"{of.capitalize()} of the serving bundle with a verdict, of women that the header names",
        "truth",
        {"malignant": found.malignant.images, "benign": found.benign.images},
    )
    worth = found.performance
    if worth is None:
        return
    rates = GaugeMetricFamily(
        f"mammo_edge_{kind}performance",
        f"Worth of the serving bundle by verdicts on {of}, with its interval of 95 % over women",
        labels=["measure", "bound"],
    )
    for name in ("auc", "sensitivity", "specificity"):
        rate: Measured = getattr(worth, name)
        for bound, value in zip(
            ("value", "low", "high"), (rate.value, *rate.interval_95), strict=True
        ):
            rates.add_metric([name, bound], value)
    yield rates
    yield GaugeMetricFamily(
        f"mammo_edge_{kind}calibration_error",
        f"Expected calibration error of the serving bundle by verdicts on {of}",
        worth.calibration_error,
    )


def _counters(counters: Mapping[str, int]) -> Iterator[CounterMetricFamily]:
    for name, (text, label, values) in COUNTED.items():
        family = CounterMetricFamily(name, text, labels=[label] if label else [])
        for counter, value in values.items():
            family.add_metric([value] if label else [], counters.get(counter, 0))
        yield family
