"""`mammo-edge results`: published results, read from the ledger."""

import json
from argparse import Namespace

from edge.cli.output import RESULT_HEAD, local, print_table, result_row
from edge.cli.parser import make_parser
from edge.config.load import load
from edge.storage.ledger.queries import Queries, open_queries, parse_since

NEWEST = 20
"""Rows of a table for which no limit was given."""


def run(arguments: Namespace) -> int:
    """List results, newest last; returns the exit status."""
    after, since = _parse(arguments.since)
    with open_queries(load(arguments.config).state.path) as queries:
        if arguments.json:
            _print_json(queries, after, since, arguments.limit)
            return 0
        payloads = queries.results(after, since, arguments.limit or NEWEST)
    messages = [json.loads(payload) for payload in payloads]
    print_table(
        ("seq", "received", *RESULT_HEAD, "image"),
        [
            (m["seq"], local(m["source"]["received_at"]), *result_row(m), m["image_id"][:16])
            for m in messages
        ],
    )
    return 0


def _print_json(queries: Queries, after: int, since: float, limit: int | None) -> None:
    for payload in (
        queries.results(after, since, limit) if limit else queries.each_result(after, since)
    ):
        print(payload.decode())


def _parse(text: str | None) -> tuple[int, float]:
    if text is None:
        return 0, 0.0
    try:
        return parse_since(text)
    except ValueError as error:
        make_parser().error(f"--{error}")
