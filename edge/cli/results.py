"""`mammo-edge results` and `mammo-edge watch`: published results, read from the ledger."""

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from edge.cli.follow import Follower, follow
from edge.cli.layout import Layout, takes_colour
from edge.cli.output import RESULT_HEAD, local, result_row
from edge.cli.since import number_or_time
from edge.config.load import load
from edge.daemon.control.unix_socket import NoDaemonError, ask
from edge.storage.ledger.queries import open_queries

Show: TypeAlias = Callable[[bytes], None]
"""A function that prints a published payload."""

NEWEST: Final = 20
"""Rows of a table for which no limit was given."""
HEAD: Final = ("seq", "received", "image", *RESULT_HEAD)
WIDTHS: Final = (7, 19, 8, 13, 5, 9, 6, 19)
"""Columns of each cell: fixed, since nobody knows the rows to come."""
EXAM_HEAD: Final = (
    "seq",
    "completed",
    "exam",
    "revision",
    "outcome",
    "score",
    "breast",
    "averaged",
)
EXAM_WIDTHS: Final = (7, 19, 8, 8, 13, 5, 6, 10)
RED, GREEN, YELLOW, MAGENTA = (f"\x1b[{number}m" for number in (31, 32, 33, 35))
COLOURS: Final = {
    "malignant": RED,
    "benign": GREEN,
    "indeterminate": YELLOW,
    "rejected": MAGENTA,
}


def run(arguments: Namespace) -> int:
    """List results, newest last, and go on if asked to; returns the exit status."""
    after, since = number_or_time(arguments.since)
    state = load(arguments.config).state.path
    limit = arguments.limit or (None if arguments.json else NEWEST)
    with open_queries(state) as queries:
        exams = arguments.exams
        show = _show(as_json=arguments.json, exams=exams)
        for payload in (
            queries.results(after, since, limit, exams=exams)
            if limit
            else queries.each_result(after, since, exams=exams)
        ):
            show(payload)
            after = json.loads(payload)["seq"]
    return follow(Follower(state, after, since, exams=exams), show) if arguments.follow else 0


def run_watch(arguments: Namespace) -> int:
    """Print results as they come, from now on or from an earlier one; returns the exit status."""
    after, since = number_or_time(arguments.since)
    settings = load(arguments.config)
    follower = Follower(settings.state.path, after if arguments.since else None, since)
    _tell_if_down(settings.control.socket)
    return follow(follower, _show(as_json=arguments.json))


def _show(*, as_json: bool, exams: bool = False) -> Show:
    """Return a function that prints a result; for a table, print its head."""
    if as_json:
        return lambda payload: print(payload.decode(), flush=True)
    widths, head, row = (EXAM_WIDTHS, EXAM_HEAD, _exam_row) if exams else (WIDTHS, HEAD, _row)
    layout = Layout(widths, COLOURS if takes_colour(sys.stdout) else {})
    print(*layout.lines(head), sep="\n", flush=True)
    return lambda payload: print(*layout.lines(row(json.loads(payload))), sep="\n", flush=True)


def _row(message: Mapping[str, Any]) -> tuple[object, ...]:
    received = _moment(message["source"]["received_at"])
    return (message["seq"], received, message["image_id"][:8], *result_row(message))


def _exam_row(message: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the cells of an exam's result; of a rejected one, the last is a sentence on why."""
    at, exam = _moment(message["completed_at"]), message["exam_id"][:8]
    named = (message["seq"], at, exam, message["revision"], message["outcome"])
    if message["outcome"] == "rejected":
        return (*named, "; ".join(message["reasons"]))
    views = [view["counts_as"] for view in message["views"]]
    counted = f"{sum(1 for view in views if view)} of {len(views)}"
    return (*named, f"{message['score']['malignant']:.3f}", message["score"]["laterality"], counted)


def _moment(text: str) -> str:
    return local(text)[: len("2026-01-31T08:00:00")]


def _tell_if_down(socket: Path) -> None:
    try:
        ask(socket, "status")
    except NoDaemonError as error:
        print(f"mammo-edge: {error}; new results are shown as they come", file=sys.stderr)
