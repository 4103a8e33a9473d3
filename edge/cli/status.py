"""`mammo-edge status`: the daemon's state on one screen of 80 columns and 24 lines."""

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final, TypeAlias

from edge.cli import remedies
from edge.cli import unserved as unserved_results
from edge.cli.doctor.finding import Finding, Level
from edge.cli.doctor.machine import disk, temperature
from edge.config.settings import Settings
from edge.errors import StartupError
from edge.storage.ledger.records import REPLY
from edge.storage.ledger.worklist import Worklist, open_worklist

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
    """Counts of the images that were concluded since midnight."""

    scored: int = 0
    rejected: int = 0
    failure: str | None = None
    """The reason of the last rejection."""
    failed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Around:
    """Facts that the daemon's report lacks and this command looks up."""

    broker: str
    """The broker's host and port; empty without the configuration."""
    disk: Finding | None
    """None without the configuration."""
    temperature: Finding
    today: Today | None
    """None if the ledger cannot be read."""
    unserved: Mapping[str, int] = field(default_factory=dict)
    """Results that wait for sinks that nobody serves, by sink."""


def look_around(settings: Settings | None, now: datetime, root: Path = Path("/")) -> Around:
    """
    Look up facts in the configuration, the machine and the ledger.

    Args:
        settings: the configuration; None if it is refused and no other can be read.
        now: a time with a time zone; `today` is its day.
        root: the folder of `sys`.
    """
    if settings is None:
        return Around("", None, temperature(root), None)
    broker = settings.broker
    where = f"{broker.host}:{broker.port}{' over TLS' if broker.tls.enabled else ''}"
    today = _today(settings.state.path, now)
    return Around(where, disk(settings), temperature(root), today, _unserved(settings))


def _unserved(settings: Settings) -> Mapping[str, int]:
    try:
        return unserved_results.unserved(settings)
    except StartupError:
        return {}


def _today(state: Path, now: datetime) -> Today | None:
    try:
        with open_worklist(state) as worklist:
            return today_of(worklist, now)
    except StartupError:
        return None


def today_of(worklist: Worklist, now: datetime) -> Today:
    """Count what was concluded since midnight, with the reason of the last rejection."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    days = worklist.by_day(midnight)
    scored, rejected = sum(day.scored for day in days), sum(day.rejected for day in days)
    last = worklist.last_rejected(midnight)
    if last is None:
        return Today(scored, rejected)
    message = json.loads(last)
    at = datetime.fromisoformat(message["completed_at"]).astimezone(now.tzinfo)
    return Today(scored, rejected, "; ".join(message["gate"]["reasons"]), at)


def screen(report: Report, around: Around) -> list[str]:
    """
    Return the lines of the screen.

    Args:
        report: the daemon's answer.
        around: facts that the report lacks.
    """
    name = f"mammo-edge {report['version']}  {report['site']}/{report['device']}"
    lines = [f"{name:<60}  up {span(report['uptime_s'])}"[:COLUMNS]]
    for label, text in (*_daemon(report), *facts(report, around)):
        hanging = " " * (LABEL + (len(DO) if text.startswith(DO) else 0))
        lines += textwrap.wrap(
            text, COLUMNS, initial_indent=f"{label:<{LABEL}}", subsequent_indent=hanging
        )
    return (
        lines
        if len(lines) <= LINES
        else [*lines[: LINES - 1], "... all of it: mammo-edge status --json"]
    )


def facts(report: Report, around: Around) -> list[tuple[str, str]]:
    """
    Return labels and texts about queue, results, deliveries and machine, before lines are broken.

    Args:
        report: the daemon's answer.
        around: facts that the report lacks.
    """
    return [*_counts(report, around), *_machine(report, around)]


def _daemon(report: Report) -> Iterator[tuple[str, str]]:
    yield "state", str(report["state"])
    reasons = report["reasons"]
    codes = report.get("reason_codes", [])  # none from a daemon older than this command
    for reason, code in list(zip_longest(reasons, codes))[:MOST_REASONS]:
        yield "", textwrap.shorten(reason, 100, placeholder=" ...")
        yield "", f"{DO}{plain(remedies.about(code))}"
    if len(reasons) > MOST_REASONS:
        yield "", f"and {len(reasons) - MOST_REASONS} more: mammo-edge status --json"
    model, runtime = report["model"], report["runtime"]
    fallback = ", not the one that was asked for" if runtime["fallback"] else ""
    engine = f"{runtime['backend']}, {counted(runtime['threads'], 'thread')}{fallback}"
    yield "model", f"{model['name']} {model['version']} ({model['bundle'][:12]}) on {engine}"


def _counts(report: Report, around: Around) -> Iterator[tuple[str, str]]:
    queue = report["queue"]
    seen = "".join(_seen(report["inbox"])) if report["inbox"] else ""
    oldest = _oldest(queue["oldest_waiting_s"])
    yield "queue", f"{queue['waiting']} waiting, {queue['examining']} in work{seen}{oldest}"
    yield from _requests(report)
    today = around.today
    since_midnight = f"today {today.scored} scored, {today.rejected} rejected; " if today else ""
    in_all = (
        f"{queue['scored']} and {queue['rejected']}"
        if today
        else f"{queue['scored']} scored, {queue['rejected']} rejected"
    )
    yield "results", f"{since_midnight}in all {in_all}"
    exams = report.get("exams")  # none from a daemon older than this command
    if exams and (exams["waiting"] or exams["last_seq"]):
        yield "exams", f"{exams['last_seq']} published, {exams['waiting']} waiting for more images"
    if (receiver := report.get("receiver")) is not None:  # absent: a daemon older than this command
        yield "receiver", ", ".join(_received(receiver))
    yield from _deliveries(report)
    if around.unserved:
        yield (
            "no sink",
            f"results wait for whom nobody serves: {unserved_results.about(around.unserved)}",
        )
        yield "", f"{DO}{plain(unserved_results.ADVICE)}"


def _received(receiver: Report) -> Iterator[str]:
    """Yield what the DICOM receiver says of itself."""
    if not receiver["running"]:
        yield "NOT RUNNING: mammo-edge-dicom"
        return
    yield f"{counted(receiver['taken'], 'object')} taken since {_minute(receiver['since'])}"
    if receiver["last_taken_at"] is not None:
        yield f"the last at {_minute(receiver['last_taken_at'])}"
    for name in ("refused", "turned_away", "aborted"):
        if causes := receiver[name]:
            said = " and ".join(f"{number} {cause}" for cause, number in causes.items())
            yield f"{name}: {said}".replace("_", " ")


def _minute(moment: str) -> str:
    return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"


def _seen(inbox: Report) -> Iterator[str]:
    """Yield what lies in the inbox; a daemon older than this command tells less."""
    yield f", {inbox['seen']} seen in the inbox"
    if kept := inbox.get("kept"):
        yield f", {kept} copied and left there for now"


def _requests(report: Report) -> Iterator[tuple[str, str]]:
    """Yield what became of requests over MQTT that are no images in the queue, if any."""
    held = report.get("requests") or {}  # none from a daemon older than this command
    said = {
        "in memory": held.get("in_memory", 0),
        "waiting for their file": held.get("references", 0),
        "given up": report["counters"].get("requests_given_up", 0),
        "dropped": report["counters"].get("requests_dropped", 0),
        "ill-formed": report["counters"].get("ill_formed_packets", 0),
    }
    if any(said.values()):
        yield "requests", ", ".join(f"{count} {what}" for what, count in said.items() if count)


def _deliveries(report: Report) -> Iterator[tuple[str, str]]:
    oldest = report["queue"]["oldest_undelivered_s"]
    delivered = {
        name.removeprefix("delivered_"): count
        for name, count in report["counters"].items()
        if name.startswith("delivered_")
    }
    for sink in sorted({*report["outbox"], *delivered}):
        left = report["outbox"].get(sink, {"waiting": 0, "held": 0})
        late = f" for up to {span(oldest)}" if left["waiting"] and oldest else ""
        undelivered = f"{left['waiting']} undelivered{late}, {left['held']} refused"
        if sink == REPLY and (given_up := report["counters"].get("replies_given_up")):
            undelivered += f", {given_up} given up"
        yield f"to {sink}", f"{delivered.get(sink, 0)} delivered since the start, {undelivered}"


def _machine(report: Report, around: Around) -> Iterator[tuple[str, str]]:
    broker = report["broker"]
    if broker is not None:
        state = f"connected, MQTT {broker['protocol']}" if broker["connected"] else "NOT CONNECTED"
        yield "broker", ", ".join(filter(None, (around.broker, state)))
    for label, finding in (("disk", around.disk), ("temperature", around.temperature)):
        if finding is not None and finding.detail != "no sensor":
            level = "" if finding.level is Level.OK else f"{finding.level}: "
            yield label, f"{level}{finding.detail}"
    yield from _last_rejected(around.today)
    if deaths := report["counters"].get("worker_deaths"):
        advice = "look into failed, and at [worker] memory_mb"
        yield "workers", f"{counted(deaths, 'death')} since the start: {advice}"
    if (report["drift"]["index"] or 0) > DRIFTED:
        page = "docs/guides/operations.md, MammoEdgeScoreDrift"
        yield "scores", f"not spread as the model was measured on: {page}"
    watches = (report["inbox"] or {}).get("watches") or {"used": 0, "free": None}
    if watches["free"] is not None and watches["free"] < watches["used"]:
        yield "watches", f"{watches['used']} for folders of the inbox, {watches['free']} free"
    if failed := report["counters"].get("pictures_failed"):
        yield "pictures", f"{failed} for the page not drawn since the start: see the journal"


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
    """Return Markdown without its backquotes, for a terminal."""
    return text.replace("`", "")


def counted(number: int, what: str) -> str:
    """Return a number with its noun: `1 thread`, `2 threads`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """Return a duration as people say it, in at most two units."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"
