"""`mammo-edge status`: what a person wants to know, on one screen."""

import re
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from edge.cli import remedies
from edge.cli.doctor.finding import Finding, Level
from edge.cli.status import Around, Today, look_around, screen, span
from edge.config.settings import Broker, Settings, Spool, State, Tls
from edge.errors import Reason
from edge.health import Cause
from tests.support.contract_page import examples
from tests.support.results import Writer, rejected, scored
from tests.support.tools import ROOT

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
OPERATIONS = (ROOT / "docs/guides/operations.md").read_text()


def report(**changed: object) -> dict[str, Any]:
    """A daemon's answer; `queue={...}` changes fields of a part."""
    answer = examples("mammo.health/1")[0]
    for name, value in changed.items():
        answer[name] = (
            answer[name] | value if isinstance(value, dict) and name != "outbox" else value
        )
    return answer


def around(today: Today | None = None, disk: Finding | None = None) -> Around:
    fine = Finding("temperature", Level.OK, "54 °C")
    return Around(
        "broker.lan:8883 over TLS", disk or Finding("disk", Level.OK, "20480 MiB free"), fine, today
    )


def test_a_healthy_device_is_told_in_ten_lines() -> None:
    shown = screen(report(), around(Today(scored=12)))
    assert shown[0].startswith("mammo-edge 0.2.0  demo/edge-1 ")
    assert [line[:12].strip() for line in shown[1:]] == [
        *("state", "model", "queue", "results", "to mqtt", "broker", "disk", "temperature")
    ]
    text = "\n".join(shown)
    for words in (
        "ready",
        "mammo-default 2.3.0 (d66db5e2f65e)",
        "litert, 1 thread\n",
        "0 waiting, 0 in work, 0 seen",
        "12 scored, 0 rejected",
    ):
        assert words in text
    assert "8 delivered since the start, 0 undelivered, 0 refused" in text
    assert "broker.lan:8883 over TLS, connected, MQTT 5" in text


def test_pictures_that_were_not_drawn_have_a_line_and_without_any_there_is_none() -> None:
    shown = screen(report(counters={"pictures_drawn": 5, "pictures_failed": 1}), around())
    assert "pictures    1 for the page not drawn since the start: see the journal" in shown
    assert "not drawn" not in "\n".join(screen(report(counters={"pictures_drawn": 5}), around()))


def test_what_is_wrong_stands_there_with_what_to_do() -> None:
    shown = "\n".join(
        screen(
            report(
                state="degraded",
                reasons=["broker: connection lost", "spool: 12 MiB free, intake needs 256"],
                reason_codes=["broker_away", "space_short"],
                broker={"connected": False},
                queue={"waiting": 7, "oldest_waiting_s": 4000.0, "oldest_undelivered_s": 90000.0},
                outbox={"mqtt": {"waiting": 31, "held": 2}},
                runtime={"fallback": True},
                counters={"worker_deaths": 2},
                drift={"images": 500, "index": 0.4},
            ),
            around(
                Today(3, 1, "truncated: the file is incomplete", NOW),
                Finding("disk", Level.FAILED, "12 MiB free"),
            ),
        )
    )
    for words in (
        *(
            "broker: connection lost",
            "-> running? certificates?",
            "spool: 12 MiB free",
            "-> free disk space",
        ),
        *(
            "NOT CONNECTED",
            "7 waiting",
            "the oldest for 1 h 6 min",
            "31 undelivered for up to 1 d 1 h, 2 refused",
            "not the one that was asked for",
        ),
        *(
            "2 deaths",
            "not spread as",
            "FAILED: 12 MiB free",
            "3 scored, 1 rejected",
            "09:30 truncated: the file is incomplete",
            "-> the sender stopped",
        ),
    ):
        assert re.sub(r"\s+", " ", words) in re.sub(r"\s+", " ", shown)
    assert "`" not in shown


@pytest.mark.parametrize(("used", "free"), [(5000, 3192), (12, 65524), (12, None)])
def test_watches_are_told_once_they_run_short(used: int, free: int | None) -> None:
    inbox = {"seen": 3, "kept": 2, "watches": {"used": used, "free": free}}
    shown = "\n".join(screen(report(inbox=inbox), around()))
    assert "3 seen in the inbox, 2 copied and left there" in shown
    assert ("5000 for folders of the inbox, 3192 free" in shown) == (free == 3192)


def test_an_inbox_that_is_only_listed_and_a_daemon_of_before_have_no_watches() -> None:
    for inbox in ({"seen": 3, "kept": 0, "watches": None}, {"seen": 3}, None):
        made = report() | {"inbox": inbox}
        assert "watches" not in "\n".join(screen(made, around()))


def test_the_dicom_receiver_is_told_in_a_line_once_there_is_one() -> None:
    counts: dict[str, Any] = {
        "taken": 0,
        "last_taken_at": None,
        "refused": {},
        "turned_away": {},
        "aborted": {},
    }
    runs = counts | {
        "running": True,
        "since": "2026-11-29T08:00:00Z",
        "taken": 1,
        "last_taken_at": "2026-11-29T08:10:00Z",
        "turned_away": {"calling_title": 3, "too_often": 1},
    }
    shown = " ".join("\n".join(screen(report() | {"receiver": runs}, around())).split())
    assert re.search(
        r"receiver 1 object taken since 2026-11-\d\d \d\d:\d\d, the last at 2026-11-\d\d "
        r"\d\d:\d\d, turned away: 3 calling title and 1 too often ",
        shown,
    )
    away = counts | {"running": False, "since": None}
    assert "receiver    NOT RUNNING: mammo-edge-dicom" in screen(
        report() | {"receiver": away}, around()
    )


@pytest.mark.parametrize("reasons", [0, 2, 9], ids=["none", "two", "nine"])
def test_it_never_needs_more_than_80_columns_and_24_lines(reasons: int) -> None:
    long = [
        "broker: " + "it says something very long about its certificate " * 8,
        *(f"model: {number}" * 30 for number in range(reasons)),
    ]
    outbox = {name: {"waiting": 10**7, "held": 10**7} for name in ("mqtt", "jsonl", "reply")}
    shown = screen(
        report(
            reasons=long[:reasons],
            outbox=outbox,
            counters={"worker_deaths": 1},
            drift={"images": 1, "index": 9.0},
            device="d" * 64,
        ),
        around(Today(10**6, 10**6, "unreadable: " + "x " * 200, NOW)),
    )
    assert len(shown) <= 23
    assert max(map(len, shown)) <= 79


def test_today_is_counted_from_the_ledger_and_is_unknown_without_one(tmp_path: Path) -> None:
    settings = Settings(
        state=State(path=tmp_path / "state"),
        spool=Spool(path=tmp_path / "spool", min_free_mb=0),
        broker=Broker(host="b", port=8883, tls=Tls(enabled=True)),
    )
    assert look_around(settings, NOW, tmp_path).today is None
    writer = Writer(tmp_path)
    refused = rejected("empty file: no bytes") | {"completed_at": "2026-11-23T08:15:00Z"}
    yesterday, first, *_ = [
        writer.publish(message)["seq"]
        for message in (scored(), scored(), refused, scored(outcome="indeterminate"))
    ]
    midnight = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
    with sqlite3.connect(tmp_path / "state/ledger.sqlite3") as db:
        for seq, at in ((yesterday, midnight - 1), (first, midnight)):
            db.execute("UPDATE results SET completed_at = ? WHERE seq = ?", (at, seq))
    db.close()
    found = look_around(settings, NOW, tmp_path)
    assert found.today == Today(
        2, 1, "empty file: no bytes", datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
    )
    assert found.broker == "b:8883 over TLS"
    writer.ledger.close()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (61, "1 min"),
        (3600, "1 h 0 min"),
        (90061, "1 d 1 h"),
        (8640000, "100 d 0 h"),
    ],
)
def test_times_are_said_in_two_units(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_every_reason_of_a_rejection_has_advice_and_a_strange_one_has_a_fallback() -> None:
    assert set(remedies.REJECTIONS) == set(Reason)
    assert remedies.about_rejection("truncated: the file") == remedies.REJECTIONS[Reason.TRUNCATED]
    assert (
        remedies.about_rejection("of a later release: x")
        == remedies.about("unheard of")
        == remedies.FALLBACK
    )


def test_every_cause_has_advice_of_its_own_and_is_reported_somewhere() -> None:
    assert set(remedies.DEGRADED) == set(Cause)
    folders = [ROOT / "edge" / name for name in ("daemon", "storage", "mqtt", "system")]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    source = "".join(path.read_text() for path in [*files, ROOT / "edge" / "health.py"])
    assert [cause for cause in Cause if f"Cause.{cause.name}" not in source] == []


def test_advice_is_looked_up_by_the_code_and_not_by_the_sentence() -> None:
    shown = " ".join(
        screen(report(reasons=["all is well"], reason_codes=["space_short"]), around(None))
    )
    assert "-> free disk space: shorten [retention]" in re.sub(r"\s+", " ", shown)


def test_a_daemon_that_gives_no_codes_yet_gets_general_advice() -> None:
    old = {name: value for name, value in report().items() if name != "reason_codes"}
    shown = " ".join(screen(old | {"reasons": ["broker: away"]}, around(None)))
    assert "-> journalctl -u mammo-edge -p warning" in re.sub(r"\s+", " ", shown)


@pytest.mark.parametrize(
    ("heading", "said"),
    [
        ("A reason for being degraded", remedies.DEGRADED),
        ("A rejected image", remedies.REJECTIONS),
    ],
)
def test_the_operator_s_page_gives_the_same_advice(heading: str, said: Mapping[str, str]) -> None:
    below = OPERATIONS.partition(f"### {heading}\n")[2].partition("\n#")[0]
    assert dict(re.findall(r"^\| `([^`]+)` \| (.*) \|$", below, re.MULTILINE)) == said
