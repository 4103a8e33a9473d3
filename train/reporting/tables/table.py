"""A table of text as Markdown and HTML, and the numbers in its cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final, TypeAlias

from train.evaluation import verdict
from train.wording import with_interval

Numbers: TypeAlias = Mapping[str, Any]
"""The numbers of a run, as its JSON files have them."""
MARKS: Final = (verdict.NOT_SHOWN, verdict.WORSE)
"""Ends of a cell whose row stands out."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """Write the table as GitHub's Markdown."""
        lines = [self.head, tuple("---" for _ in self.head), *self.rows]
        return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)

    def html(self) -> str:
        """Write the table as HTML, with the first column as heads of the rows."""
        top = "".join(f"<th>{escape(name)}</th>" for name in self.head)
        return f"<table><tr>{top}</tr>{''.join(map(_line, self.rows))}</table>"


def ranked(row: Numbers) -> str:
    """Write an AUC with its interval, and say so if that reaches chance."""
    said = verdict.mark(row)
    return with_interval(row, "auc") + (f", {said}" if said else "")


def megabytes(size: int) -> str:
    """Write bytes as MB."""
    return f"{size / 1e6:.1f} MB"


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with some decimals; a dash if there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def interval(ends: Iterable[float], digits: int = 3) -> str:
    """Write the two ends of an interval."""
    low, high = ends
    return f"{low:.{digits}f} to {high:.{digits}f}"


def percent(value: float, ends: Sequence[float] | None = None) -> str:
    """Write a share in percent, with its interval if it has one."""
    return f"{value:.1%}" + (f" ({ends[0]:.1%} to {ends[1]:.1%})" if ends else "")


def _cell(text: str) -> str:
    """Write a cell as Markdown; a bar would end it."""
    text = text.replace("|", "/")
    return f"**{text}**" if text.endswith(MARKS) else text


def _line(row: tuple[str, ...]) -> str:
    marked = " class=chance" if any(cell.endswith(MARKS) for cell in row) else ""
    name = (
        f"<b>{escape(row[0].replace('*', ''))}</b>" if row[0].startswith("**") else escape(row[0])
    )
    return (
        f"<tr{marked}><th>{name}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
    )
