"""
Rows for a terminal: at most 100 columns, and nothing in them acts on it.

A cell that is wider than its column goes on below itself, so that no table cuts anything off.
"""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final, TextIO

COLUMNS: Final = 100
GAP: Final = "  "
RESET: Final = "\x1b[0m"


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


def takes_colour(stream: TextIO) -> bool:
    """Say if a stream is a terminal whose owner has not asked for no colours (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


@dataclass(frozen=True, slots=True)
class Layout:
    """The widths of a table's columns; the last cell of a row has all that is left."""

    widths: tuple[int, ...]
    colours: Mapping[str, str]
    """The beginning of an escape sequence for each cell that has a colour, by its text."""

    def lines(self, row: Sequence[object]) -> Iterator[str]:
        """
        Yield the lines of a row, one unless a cell is too wide.

        Args:
            row: cells; one with fewer than the table has columns ends in a sentence.
        """
        cells = [shown(str(cell)) for cell in row]
        widths = [*self.widths[: len(cells) - 1], self._left(len(cells) - 1)]
        pieces = [wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
        for line in zip_longest(*pieces, fillvalue=""):
            padded = (self._padded(cell, width) for cell, width in zip(line, widths, strict=True))
            yield GAP.join(padded).rstrip()

    def _left(self, before: int) -> int:
        taken = sum(self.widths[:before]) + len(GAP) * before
        return max(COLUMNS - taken, self.widths[before])

    def _padded(self, cell: str, width: int) -> str:
        colour, space = self.colours.get(cell), " " * (width - columns_of(cell))
        return f"{colour}{cell}{RESET}{space}" if colour else f"{cell}{space}"


def fitted(rows: Sequence[Sequence[object]]) -> Layout:
    """
    Lay out rows, their head the first: columns as wide as their cells, the widest ones narrower.

    Args:
        rows: all rows of the table; the last cell of one with fewer cells than the head counts for
            no column.
    """
    cells = [[shown(str(cell)) for cell in row] for row in rows]
    columns = len(cells[0])
    widths = [
        max(columns_of(row[at]) for row in cells if at < len(row) - (len(row) < columns))
        for at in range(columns)
    ]
    room, widest = COLUMNS - len(GAP) * (columns - 1), max(widths)
    while sum(min(width, widest) for width in widths) > room:
        widest -= 1
    return Layout(tuple(min(width, widest) for width in widths), {})


def columns_of(text: str) -> int:
    """Count the columns that a terminal gives a text: two for each wide letter, such as 東."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def wrapped(text: str, width: int) -> list[str]:
    """Break text into pieces of a width: after a space or a slash, elsewhere only if it must be."""
    lines, line = [], ""
    for word in re.findall(r"[^ /]*[ /]|[^ /]+", text):
        if line and columns_of(line) + columns_of(word.rstrip()) > width:
            lines.append(line)
            line = ""
        line += word
        while columns_of(line.rstrip()) > width and len(line) > 1:
            ends = (end for end in range(1, len(line)) if columns_of(line[:end]) <= width)
            fits = max(ends, default=1)
            lines.append(line[:fits])
            line = line[fits:]
    return [one.rstrip() for one in (*lines, line)]
