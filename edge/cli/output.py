"""Tables for people."""

import json
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

RESULT_HEAD: Final = ("outcome", "malignant", "threshold", "domain", "ms", "result id / reason")
WITHHELD: Final[Mapping[str, str]] = {
    "domain-unmeasured": "not measured",
    "domain-at-chance": "at chance",
}
"""Words for the reasons to give no label."""


def local(moment: str) -> str:
    """Return a published time as local time with its zone, as `--since` takes it."""
    return datetime.fromisoformat(moment).astimezone().isoformat(timespec="seconds")


def shown(text: str) -> str:
    """
    Return text in which nothing acts on a terminal: names of files and models are other people's.

    Control characters, marks that turn the direction, and bytes that are no text are written as
    escapes.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """
    Print rows below their head, each column as wide as its widest cell.

    A row with fewer cells than the head ends in a sentence, which may be longer than its column.
    """
    cells = [[shown(str(cell)) for cell in row] for row in (head, *rows)]
    whole = [row for row in cells if len(row) == len(head)]
    widths = [max(len(row[column]) for row in whole) for column in range(len(head))]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=False))
        print("  ".join(padded).rstrip())


def print_report(arguments: Namespace, report: Mapping[str, Any]) -> int:
    """Print a report as a table, or as JSON if that was asked for; returns exit status 0."""
    if arguments.json:
        print(json.dumps(report))
    else:
        print_table(("what", "value"), list(_flat(report)))
    return 0


def result_row(message: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the cells of a published result, in the order of RESULT_HEAD."""
    took = f"{message['timing_ms']['total']:.0f}"
    if message["outcome"] == "rejected":
        return ("rejected", "", "", "", took, "; ".join(message["gate"]["reasons"]))
    score, decision = message["score"], message["decision"]
    return (
        message["outcome"],
        f"{score['malignant']:.3f}",
        f"{decision['threshold']:.3f}",
        _domain(message),
        took,
        message["result_id"],
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
