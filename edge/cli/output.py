"""Tables for people."""

import json
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from edge.cli.layout import fitted

RESULT_HEAD: Final = ("outcome", "score", "threshold", "s", "domain")
WITHHELD: Final[Mapping[str, str]] = {
    "domain-unmeasured": "unmeasured",
    "domain-at-chance": "at chance",
}
"""Words for the reasons to give no label."""


def local(moment: str) -> str:
    """Return a published time as local time with its zone, as `--since` takes it."""
    return datetime.fromisoformat(moment).astimezone().isoformat(timespec="seconds")


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """
    Print rows below their head, each column as wide as its widest cell, 100 columns at most.

    A row with fewer cells than the head ends in a sentence, which may be longer than its column.
    """
    table = [head, *rows]
    layout = fitted(table)
    for row in table:
        print(*layout.lines(row), sep="\n")


def print_report(arguments: Namespace, report: Mapping[str, Any]) -> int:
    """Print a report as a table, or as JSON if that was asked for; returns exit status 0."""
    if arguments.json:
        print(json.dumps(report))
    else:
        print_table(("what", "value"), list(_flat(report)))
    return 0


def result_row(message: Mapping[str, Any]) -> tuple[object, ...]:
    """
    Return the cells of a published result, in the order of RESULT_HEAD.

    A rejected image has two: `rejected`, and a sentence on why.
    """
    if message["outcome"] == "rejected":
        return ("rejected", "; ".join(message["gate"]["reasons"]))
    score, decision = message["score"], message["decision"]
    return (
        message["outcome"],
        f"{score['malignant']:.3f}",
        f"{decision['threshold']:.3f}",
        f"{message['timing_ms']['total'] / 1000:.2f}",
        _domain(message),
    )


def _domain(message: Mapping[str, Any]) -> str:
    """Name the kind of image, and why it has no label; nothing for results of earlier releases."""
    kind = message.get("domain", {"kind": ""})["kind"]
    withheld = message["decision"].get("withheld")
    return f"{kind}: {WITHHELD[withheld]}" if withheld else kind


def _flat(report: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in report.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", ", ".join(map(str, value)) if isinstance(value, list) else value
