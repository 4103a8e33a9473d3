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
        show = _show(as_json=arguments.json)
        for payload in (
            queries.results(after, since, limit) if limit else queries.each_result(after, since)
        ):
            show(payload)
            after = json.loads(payload)["seq"]
    return follow(Follower(state, after, since), show) if arguments.follow else 0


def run_watch(arguments: Namespace) -> int:
    """Print results as they come, from now on or from an earlier one; returns the exit status."""
    after, since = number_or_time(arguments.since)
    settings = load(arguments.config)
    follower = Follower(settings.state.path, after if arguments.since else None, since)
    _tell_if_down(settings.control.socket)
    return follow(follower, _show(as_json=arguments.json))


def _show(*, as_json: bool) -> Show:
    """Return a function that prints a result; for a table, print its head."""
    if as_json:
        return lambda payload: print(payload.decode(), flush=True)
    layout = Layout(WIDTHS, COLOURS if takes_colour(sys.stdout) else {})
    print(*layout.lines(HEAD), sep="\n", flush=True)
    return lambda payload: print(*layout.lines(_row(json.loads(payload))), sep="\n", flush=True)


def _row(message: Mapping[str, Any]) -> tuple[object, ...]:
    received = local(message["source"]["received_at"])[: len("2026-01-31T08:00:00")]
    return (message["seq"], received, message["image_id"][:8], *result_row(message))


def _tell_if_down(socket: Path) -> None:
    try:
        ask(socket, "status")
    except NoDaemonError as error:
        print(f"mammo-edge: {error}; new results are shown as they come", file=sys.stderr)
