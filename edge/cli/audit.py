"""`mammo-edge audit`: shows and verifies the log of what people and topics had the daemon do."""

import json
from argparse import Namespace
from contextlib import suppress
from typing import Any

from edge.cli.output import local, print_table
from edge.cli.parser import make_parser
from edge.config.load import load
from edge.storage.audit import Audit, Head

NEWEST = 20
"""Rows of a table for which no limit was given."""


def run_verify(arguments: Namespace) -> int:
    """Verify the chain, and the head if one is given; returns the exit status."""
    settings, head = load(arguments.config), _head(arguments.head)
    audit = Audit(settings.state.path)
    chain = audit.verify(head, removes=settings.retention.audit_days > 0)
    problems, notes = chain.problems(), chain.notes()
    if arguments.json:
        said = {"head": str(audit.head()), "problems": problems, "notes": notes}
        print(json.dumps(said))
    else:
        print(*problems or ["the chain holds"], *notes, f"head {audit.head()}", sep="\n")
    return 1 if problems else 0


def run_show(arguments: Namespace) -> int:
    """Show the entries, newest last; returns the exit status."""
    entries = list(Audit(load(arguments.config).state.path).entries())
    if arguments.json:
        print(*map(json.dumps, entries[-(arguments.limit or len(entries)) :]), sep="\n")
    else:
        rows = [_row(entry) for entry in entries[-(arguments.limit or NEWEST) :]]
        print_table(("number", "at", "event", "by", "details"), rows)
    return 0


def _row(entry: dict[str, Any]) -> tuple[object, ...]:
    at = str(entry["at"])
    with suppress(ValueError):  # an entry that somebody wrote by hand
        at = local(at)
    head = (entry["number"], at, entry["event"])
    return (*head, _words(entry["by"]), _words(entry["details"]))


def _words(fields: dict[str, Any]) -> str:
    return " ".join(f"{key}={_short(value)}" for key, value in fields.items())


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text[:16] if len(text) == len(Head().hash) else text


def _head(text: str | None) -> Head | None:
    try:
        return Head.parse(text) if text is not None else None
    except ValueError as error:
        make_parser().error(f"--{error}")
