"""What a guide tells people to type or to write into a file."""

import re

from tests.support.tools import ROOT


def blocks(page: str, heading: str) -> list[list[str]]:
    """
    List the indented blocks below a heading of a page, each as its lines.

    Args:
        page: its path in the repository.
        heading: of its second level.
    """
    text = (ROOT / page).read_text(encoding="utf-8")
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = re.findall(r"(?m)(?:^    .*\n)+", section)
    return [[line.removeprefix("    ") for line in block.splitlines()] for block in found]
