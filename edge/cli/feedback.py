"""`mammo-edge feedback import`: what was found out about images and exams, from a table."""

import csv
import io
import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edge.cli.control import ask
from edge.errors import MammoEdgeError

IDS: Final = ("image_id", "exam_id")
"""Columns of which a table has one, or both; a line has a value in one of them."""
COLUMNS: Final = ("truth", "basis", "score_seen")
SEEN: Final[Mapping[str, bool]] = {"true": True, "yes": True, "false": False, "no": False}
MOST: Final = 5_000
"""The most verdicts of one file: the ledger takes nothing else while it writes them."""


class TableError(MammoEdgeError):
    """The file cannot be read as a table of verdicts."""


def run_import(arguments: Namespace) -> int:
    """Have the daemon take the verdicts of a file; returns the exit status."""
    answer = ask(arguments, "feedback", verdicts=read(arguments.file))
    if arguments.json:
        print(json.dumps(answer))
    else:
        same = answer["verdicts"] - answer["changed"]
        print(f"{answer['changed']} verdicts taken, {same} were there as they are")
    return 0


def read(file: Path) -> list[dict[str, Any]]:
    """
    Read a table of verdicts, with commas or semicolons; the daemon checks the values.

    Returns:
        A verdict for each line that is not blank, with the number of the line.

    Raises:
        TableError: it is not UTF-8, has other columns, a line with more values than these, too many
            lines or none.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise TableError(msg) from None
    except UnicodeDecodeError:
        msg = f"{file}: expected text in UTF-8"
        raise TableError(msg) from None
    head = text.partition("\n")[0]
    table = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=";" if ";" in head else ",", strict=True
    )
    try:
        found = [name.strip() for name in table.fieldnames or ()]
        ids = [name for name in IDS if name in found]
        if not ids or sorted(found) != sorted((*ids, *COLUMNS)):
            expected = f"{' or '.join(IDS)}, {', '.join(COLUMNS)}"
            msg = f"{file}: line 1: found {', '.join(found)[:80]}, expected {expected}"
            raise TableError(msg)
        table.fieldnames = found
        verdicts = [_verdict(file, table.line_num, row) for row in table]
    except csv.Error as error:
        msg = f"{file}: line {table.reader.line_num}: {error}"
        raise TableError(msg) from None
    if not 1 <= len(verdicts) <= MOST:
        msg = f"{file}: found {len(verdicts)} verdicts, expected 1 to {MOST}"
        raise TableError(msg)
    return verdicts


def _verdict(file: Path, line: int, row: Mapping[str | None, Any]) -> dict[str, Any]:
    """Return what a row says; the daemon finds fault with values that are missing."""
    surplus = row.get(None, ())  # under no column's name
    if any(value.strip() for value in surplus):
        columns = len(row) - 1
        msg = f"{file}: line {line}: found {columns + len(surplus)} values, expected {columns}"
        raise TableError(msg)
    said = {name: (value or "").strip() for name, value in row.items() if name is not None}
    ids = {name: value for name in IDS if (value := said.pop(name, ""))}
    seen = said.pop("score_seen")
    return {"line": line, **ids, **said, "score_seen": SEEN.get(seen.lower(), seen)}
