"""What `mammo-edge status` shows a person: one screen of 80 columns and 24 lines."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, TypeAlias

from edge.cli import remedies
from edge.cli.doctor.checks import Finding, Level, disk, temperature
from edge.config.settings import Settings
from edge.errors import StartupError
from edge.storage.ledger.queries import open_queries

COLUMNS: Final = 79
LINES: Final = 23
LABEL: Final = 12
DO: Final = "-> "
MOST_REASONS: Final = 3
DRIFTED: Final = 0.25
MINUTE: Final = 60
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
Report: TypeAlias = Mapping[str, Any]
"""The fields of `health`."""


@dataclass(frozen=True, slots=True)
class Today:
    """What came of the images since midnight."""

    scored: int = 0
    rejected: int = 0
    failure: str | None = None
    """Why the last of them was rejected."""
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """What the daemon does not tell and this command can look up."""

    broker: str
    """Where it is."""
    disk: Finding
    temperature: Finding
    today: Today | None
    """None where the ledger may not be read."""


def look_around(settings: Settings, now: datetime, root: Path = Path("/")) -> Around:
    """
    Ask the configuration, the machine and the ledger.

    Args:
        settings: what was configured.
        now: with a time zone; `today` is its day.
        root: where `sys` is.
    """
    broker = settings.broker
    where = f"{broker.host}:{broker.port}{' over TLS' if broker.tls.enabled else ''}"
    return Around(where, disk(settings), temperature(root), _today(settings.state.path, now))


def _today(state: Path, now: datetime) -> Today | None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    scored = rejected = 0
    failure: tuple[str | None, datetime | None] = (None, None)
    try:
        with open_queries(state) as queries:
            for payload in queries.each_result(since=midnight.timestamp()):
                message = json.loads(payload)
                if message["outcome"] == "rejected":
                    rejected += 1
                    failure = (
                        "; ".join(message["gate"]["reasons"]),
                        datetime.fromisoformat(message["completed_at"]).astimezone(now.tzinfo),
                    )
                else:
                    scored += 1
    except StartupError:
        return None
    return Today(scored, rejected, *failure)


def screen(report: Report, around: Around) -> list[str]:
    """
    The lines.

    Args:
        report: what the daemon answered.
        around: what else is known.
    """
    name = f"mammo-edge {report['version']}  {report['site']}/{report['device']}"
    lines = [f"{name:<60}  up {span(report['uptime_s'])}"[:COLUMNS]]
    for label, text in (*_daemon(report), *_counts(report, around), *_machine(report, around)):
        hanging = " " * (LABEL + (len(DO) if text.startswith(DO) else 0))
        lines += textwrap.wrap(
            text, COLUMNS, initial_indent=f"{label:<{LABEL}}", subsequent_indent=hanging
        )
    return (
        lines
        if len(lines) <= LINES
        else [*lines[: LINES - 1], "... all of it: mammo-edge status --json"]
    )


def _daemon(report: Report) -> Iterator[tuple[str, str]]:
    yield "state", str(report["state"])
    reasons = report["reasons"]
    codes = report.get("reason_codes", [])  # none from a daemon older than this command
    for reason, code in list(zip_longest(reasons, codes))[:MOST_REASONS]:
        yield "", f"{textwrap.shorten(reason, 100, placeholder=' ...')}"
        yield "", f"{DO}{plain(remedies.about(code))}"
    if len(reasons) > MOST_REASONS:
        yield "", f"and {len(reasons) - MOST_REASONS} more: mammo-edge status --json"
    model, runtime = report["model"], report["runtime"]
    fallback = ", not the one that was asked for" if runtime["fallback"] else ""
    engine = f"{runtime['backend']}, {counted(runtime['threads'], 'thread')}{fallback}"
    yield "model", f"{model['name']} {model['version']} ({model['bundle'][:12]}) on {engine}"


def _counts(report: Report, around: Around) -> Iterator[tuple[str, str]]:
    queue = report["queue"]
    seen = f", {report['inbox']['seen']} seen in the inbox" if report["inbox"] else ""
    yield (
        "queue",
        (
            f"{queue['waiting']} waiting, {queue['examining']} in "
            f"work{seen}{_oldest(queue['oldest_waiting_s'])}"
        ),
    )
    today = around.today
    since_midnight = f"today {today.scored} scored, {today.rejected} rejected; " if today else ""
    in_all = (
        f"{queue['scored']} and {queue['rejected']}"
        if today
        else f"{queue['scored']} scored, {queue['rejected']} rejected"
    )
    yield "results", f"{since_midnight}in all {in_all}"
    for sink in sorted(
        {
            *report["outbox"],
            *(
                name.removeprefix("delivered_")
                for name in report["counters"]
                if name.startswith("delivered_")
            ),
        }
    ):
        left = report["outbox"].get(sink, {"waiting": 0, "held": 0})
        done = report["counters"].get(f"delivered_{sink}", 0)
        late = (
            f" for up to {span(queue['oldest_undelivered_s'])}"
            if left["waiting"] and queue["oldest_undelivered_s"]
            else ""
        )
        yield (
            f"to {sink}",
            (
                f"{done} delivered since the start, {left['waiting']} "
                f"undelivered{late}, {left['held']} refused"
            ),
        )


def _machine(report: Report, around: Around) -> Iterator[tuple[str, str]]:
    broker = report["broker"]
    if broker is not None:
        yield (
            "broker",
            (
                f"{around.broker}, "
                f"{'connected, MQTT ' + broker['protocol'] if broker['connected'] else 'NOT CONNECTED'}"  # noqa: E501
            ),
        )
    for label, finding in (("disk", around.disk), ("temperature", around.temperature)):
        if finding.detail != "no sensor":
            yield (
                label,
                finding.detail
                if finding.level is Level.OK
                else f"{finding.level}: {finding.detail}",
            )
    yield from _last_rejected(around.today)
    if deaths := report["counters"].get("worker_deaths"):
        yield (
            "workers",
            (
                f"{counted(deaths, 'death')} since the start: look into "
                "failed, and at [worker] memory_mb"
            ),
        )
    if (report["drift"]["index"] or 0) > DRIFTED:
        yield (
            "scores",
            (
                "not spread as the model was measured on: "
                "docs/guides/operations.md, MammoEdgeScoreDrift"
            ),
        )


def _last_rejected(today: Today | None) -> Iterator[tuple[str, str]]:
    if today is not None and today.failure is not None and today.failed_at is not None:
        yield (
            "rejected",
            f"{today.failed_at:%H:%M} {textwrap.shorten(today.failure, 110, placeholder=' ...')}",
        )
        yield "", f"{DO}{plain(remedies.about_rejection(today.failure))}"


def _oldest(seconds: float | None) -> str:
    return "" if seconds is None else f"; the oldest for {span(seconds)}"


def plain(text: str) -> str:
    """For a terminal."""
    return text.replace("`", "")


def counted(number: int, what: str) -> str:
    """`1 thread`, `2 threads`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """A time as people say it, to two units."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"
