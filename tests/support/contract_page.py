"""Read the parts of docs/reference/contract.md: fenced blocks, tables and JSON examples."""

import json
import re
from typing import Any, Final

from tests.support.tools import ROOT

PAGE: Final = (ROOT / "docs" / "reference" / "contract.md").read_text()


def blocks(language: str) -> list[str]:
    """List the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def table(heading: str) -> list[str]:
    """List the first column of the first table below a heading."""
    below = re.split(rf"^#+ {re.escape(heading)}$", PAGE, flags=re.MULTILINE)[1]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert rows, heading
    return [row.split("|")[1].strip().strip("`") for row in rows.group().splitlines()[2:]]


def examples(schema: str) -> list[dict[str, Any]]:
    """List the page's JSON examples of one schema."""
    return [found for found in map(json.loads, blocks("json")) if found["schema"] == schema]
