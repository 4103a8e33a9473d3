"""What Prometheus reads, its alarms and the dashboard; and how far scores have drifted."""

import contextlib
import json
import random
import re
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, cast

import pytest

from edge.daemon.telemetry.drift import FEWEST, Drift, counts_of, index_of, stability_index
from edge.daemon.telemetry.http_server import AT_ONCE, MetricsServer
from edge.daemon.telemetry.metrics import HealthMetrics
from edge.daemon.telemetry.performance import ServingPerformance
from edge.daemon.workers.serving import Serving
from edge.errors import ConfigError, Unavailable
from edge.health import Health
from edge.models.active import shipped_bundle
from edge.models.bundle import verify
from edge.models.pairs import Pair
from edge.models.performance import look
from edge.storage.ledger import Ledger
from edge.storage.ledger.verdicts import Kind
from tests.support.pairs import BUNDLE, fill, name, women
from tests.support.rig import until
from tests.support.tools import ROOT, need

REPORT: Final[dict[str, Any]] = {
    "state": "degraded",
    "version": "1.2.3",
    "uptime_s": 61,
    "broker": {"connected": True, "protocol": "5"},
    "model": {"name": "m", "version": "1", "bundle": "b" * 64},
    "runtime": {"backend": "litert", "fallback": False, "threads": 1},
    "queue": {
        "waiting": 3,
        "examining": 1,
        "to_archive": 0,
        "oldest_waiting_s": 12.5,
        "last_seq": 8,
    },
    "outbox": {"mqtt": {"waiting": 2, "held": 1}},
    "receiver": {
        "running": True,
        "since": "2026-11-29T08:00:00Z",
        "last_taken_at": "2026-11-29T08:10:00Z",
        "taken": 7,
        "refused": {"no_room": 2},
        "turned_away": {},
        "aborted": {},
    },
    "drift": {"images": 200, "index": 0.31},
    "counters": {"benign": 4, "rejected": 1, "worker_deaths": 2, "pictures_failed": 3},
}
RULES: Final = ROOT / "deploy/monitoring/prometheus"


@pytest.fixture
def numbers() -> HealthMetrics:
    return HealthMetrics(lambda: REPORT)


@pytest.fixture
def server(numbers: HealthMetrics) -> Iterator[MetricsServer]:
    made = MetricsServer(
        ("127.0.0.1", 0), numbers.text, ready=lambda: True, alive=lambda: False, health=Health()
    )
    made.start()
    yield made
    made.close()


def get(server: MetricsServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


def test_the_worth_by_verdicts_stands_in_metrics_once_there_are_enough() -> None:
    pairs = women(200, 1)
    few = HealthMetrics(lambda: REPORT, lambda: look(pairs[:20])).text().decode()
    enough = HealthMetrics(lambda: REPORT, lambda: look(pairs)).text().decode()
    assert "mammo_edge_verdict_images{" in few
    assert "mammo_edge_performance{" not in few
    found = look(pairs).performance
    assert found is not None
    line = f'mammo_edge_performance{{bound="low",measure="auc"}} {found.auc.interval_95[0]!r}'
    assert line in enough.replace('measure="auc",bound="low"', 'bound="low",measure="auc"')
    assert f"mammo_edge_calibration_error {found.calibration_error!r}" in enough
    exams = HealthMetrics(lambda: REPORT, lambda: look([]), lambda: look(pairs)).text().decode()
    assert f"mammo_edge_exam_calibration_error {found.calibration_error!r}" in exams
    assert 'mammo_edge_verdict_images{truth="malignant"} 0.0' in exams
    number = float(look(pairs).malignant.images)
    assert f'mammo_edge_verdict_exams{{truth="malignant"}} {number}' in exams
    assert "mammo_edge_performance{" not in exams


def test_it_is_measured_anew_when_a_verdict_comes_or_goes_and_not_before(tmp_path: Path) -> None:
    pairs = women(200, 1)
    fill(tmp_path, pairs)
    ledger, looks = Ledger(tmp_path, [], lambda payload, _: payload), list[int]()
    read = ledger.verdicts.pairs

    def count(kind: Kind = "image") -> list[Pair]:
        looks.append(1)
        return read(kind)

    ledger.verdicts.pairs = count  # type: ignore[method-assign]
    worth = ServingPerformance(ledger.verdicts, lambda: BUNDLE)
    assert worth() == worth() == look(pairs)
    assert len(looks) == 1
    ledger.erasure.erase([name(0)], lambda _: None)
    assert worth() == look(pairs[1:])
    other = ServingPerformance(ledger.verdicts, lambda: "c" * 64)
    assert other().malignant.images == 0
    ledger.close()


def test_the_numbers_of_health_stand_in_metrics(numbers: HealthMetrics) -> None:
    lines = numbers.text().decode().splitlines()
    for line in (
        'mammo_edge_state{state="degraded"} 1.0',
        'mammo_edge_state{state="ready"} 0.0',
        'mammo_edge_outcomes_total{outcome="benign"} 4.0',
        'mammo_edge_outcomes_total{outcome="malignant"} 0.0',
        "mammo_edge_worker_deaths_total 2.0",
        'mammo_edge_pictures_total{outcome="drawn"} 0.0',
        'mammo_edge_pictures_total{outcome="failed"} 3.0',
        'mammo_edge_undelivered{sink="mqtt",state="held"} 1.0',
        "mammo_edge_oldest_waiting_seconds 12.5",
        "mammo_edge_score_drift 0.31",
        "mammo_edge_receiver_running 1.0",
        "mammo_edge_receiver_taken_total 7.0",
        'mammo_edge_receiver_refused_total{cause="no_room"} 2.0',
        'mammo_edge_receiver_turned_away_total{cause="calling_title"} 0.0',
        "mammo_edge_receiver_last_taken_timestamp_seconds 1.7959398e+09",
    ):
        assert line in lines


def test_a_receiver_that_is_not_heard_of_has_no_counts_that_could_fall_and_rise() -> None:
    silent = {**REPORT["receiver"], "running": False, "refused": {}}
    lines = HealthMetrics(lambda: {**REPORT, "receiver": silent}).text().decode().splitlines()
    found = [line for line in lines if line.startswith("mammo_edge_receiver_")]
    assert found == ["mammo_edge_receiver_running 0.0"]


def test_prometheus_s_own_tool_finds_nothing_to_complain_of(numbers: HealthMetrics) -> None:
    done = subprocess.run(
        [need("promtool", "prometheus"), "check", "metrics"],
        input=numbers.text(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


def test_each_alarm_goes_off_when_it_should_and_only_then() -> None:
    command = [need("promtool", "prometheus"), "test", "rules", str(RULES / "mammo-edge.test.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    alarms = set(re.findall(r"alert: (\w+)", (RULES / "mammo-edge.rules.yml").read_text()))
    tested = set(re.findall(r"alertname: (\w+)", (RULES / "mammo-edge.test.yml").read_text()))
    assert alarms == tested


def test_every_alarm_has_a_section_of_the_manual_that_says_what_to_do_and_leads_there() -> None:
    rules = (RULES / "mammo-edge.rules.yml").read_text()
    alarms = re.findall(r"alert: (\w+)", rules)
    sections = re.findall(
        r"^### (MammoEdge\w+)\n\n(.*?)(?=^#)",
        (ROOT / "docs/guides/operations.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert [name for name, _ in sections] == alarms
    assert [name for name, text in sections if len(text) < 150 or "`" not in text] == []
    assert re.findall(r'runbook: "docs/guides/operations.md#(\w+)"', rules) == [
        name.lower() for name in alarms
    ]
    severities = dict(zip(alarms, re.findall(r"severity: (\w+)", rules), strict=True))
    said = {"critical": "Critical.", "warning": "Warning.", "info": "For your information."}
    assert [name for name, text in sections if not text.startswith(said[severities[name]])] == []


@pytest.mark.parametrize("file", ["prometheus/mammo-edge.rules.yml", "grafana/mammo-edge.json"])
def test_alarms_and_dashboard_ask_for_metrics_that_there_are(
    numbers: HealthMetrics, file: str
) -> None:
    there = set(re.findall(r"^(mammo_edge\w*)", numbers.text().decode(), re.MULTILINE))
    asked = set(re.findall(r"mammo_edge_\w+", (ROOT / "deploy/monitoring" / file).read_text()))
    assert asked <= there
    assert len(asked) > 5


def test_the_dashboard_is_json_with_a_query_in_each_panel() -> None:
    board = json.loads((ROOT / "deploy/monitoring/grafana/mammo-edge.json").read_text())
    assert all(panel["title"] and panel["targets"][0]["expr"] for panel in board["panels"])


def test_ready_and_alive_are_yes_or_no_and_anything_else_is_not_found(
    server: MetricsServer,
) -> None:
    assert get(server, "/readyz") == (200, "yes\n")
    assert get(server, "/livez")[0] == 503
    assert get(server, "/")[0] == 404
    assert "mammo_edge_info" in get(server, "/metrics")[1]


def test_a_ledger_that_cannot_be_read_is_an_answer_and_no_traceback_in_the_journal(
    server: MetricsServer, numbers: HealthMetrics, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing() -> dict[str, Any]:
        msg = "ledger: disk I/O error"
        raise Unavailable(msg)

    numbers._report = failing
    assert get(server, "/metrics")[0] == 503
    assert get(server, "/readyz")[0] == 200
    assert capsys.readouterr().err == ""


def test_whoever_opens_many_connections_takes_no_more_than_a_few_threads(
    server: MetricsServer,
) -> None:
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        held = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=120))
            for _ in range(AT_ONCE + 3)
        ]
        assert [one.recv(1) for one in held[AT_ONCE:]] == [b""] * 3
        assert threading.active_count() - before <= AT_ONCE
    until(lambda: threading.active_count() <= before, "the others have gone")
    assert get(server, "/readyz")[0] == 200


def test_an_address_that_is_taken_is_named(server: MetricsServer, numbers: HealthMetrics) -> None:
    with pytest.raises(
        ConfigError, match=f"metrics: 127.0.0.1:{server.port}: Address already in use"
    ):
        MetricsServer(
            ("127.0.0.1", server.port), numbers.text, ready=bool, alive=bool, health=Health()
        )


def test_the_images_a_model_was_measured_on_are_no_drift_however_chance_draws_them() -> None:
    manifest = verify(shipped_bundle()).manifest
    reference, chance = (
        manifest.models[manifest.default_model].reference_histogram,
        random.Random(1),  # noqa: S311 - a test
    )
    windows = [
        [(number + 0.5) / 20 for number in chance.choices(range(20), reference, k=FEWEST)]
        for _ in range(200)
    ]
    above = [
        sum(stability_index(counts_of(window, 20), reference) > limit for window in windows)
        for limit in (0.1, 0.25)
    ]
    assert above[0] <= 0.05 * len(windows)
    assert above[1] == 0


def test_a_restart_goes_on_with_the_scores_that_this_model_gave_before() -> None:
    bundle = verify(shipped_bundle())

    def result(bundle_id: str, score: float | None, duplicate_of: int | None = None) -> bytes:
        kept = {"malignant": score, "raw": score} if score is not None else None
        return json.dumps(
            {"model": {"bundle": bundle_id}, "duplicate_of": duplicate_of, "score": kept}
        ).encode()

    own = bundle.bundle_id
    payloads = [
        result("other", 0.9),
        result(own, 0.9, 7),
        result(own, None),
        *[result(own, 0.3)] * FEWEST,
    ]
    drift = Drift()
    workers = SimpleNamespace(runtime=SimpleNamespace(file=bundle.manifest.default_model))
    drift.resume(Serving(bundle, cast("Any", workers)), payloads)
    report = drift.report()
    assert (report.images, sum(report.counts)) == (FEWEST, FEWEST)
    assert report.index is not None
    assert report.index == index_of(report.counts, report.reference)


def test_scores_as_in_the_reference_have_no_drift_and_others_have() -> None:
    reference = [10] * 20

    def index(scores: list[float]) -> float:
        return stability_index(counts_of(scores, 20), reference)

    alike = [(number + 0.5) / 20 for number in range(20)] * 10
    assert index(alike) == pytest.approx(0, abs=1e-9)
    assert index([0.99, 1.0] * 100) > 1
    shifted = [score * 0.7 for score in alike]
    assert 0.1 < index(shifted) < index([0.5] * 200)


def test_counts_of_two_devices_add_up_to_those_of_one_that_saw_all_their_images() -> None:
    chance = random.Random(2)  # noqa: S311 - a test
    north, south = ([chance.random() ** power for _ in range(250)] for power in (1, 2))
    summed = [a + b for a, b in zip(counts_of(north, 20), counts_of(south, 20), strict=True)]
    reference = [7] * 20
    assert summed == counts_of(north + south, 20)
    assert index_of(summed, reference) == index_of(counts_of(north + south, 20), reference)
    assert index_of(counts_of(north, 20), reference) is None  # too few by itself
