"""The tables that come with a data set, row by row: CSV files and sheets of Excel files."""

import csv
import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from train.data.index import Label
from train.errors import DataError

_LABELS: Final[Mapping[str, Label]] = {
    "benign": "benign",
    "benign_without_callback": "benign",
    "malignant": "malignant",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table, and how to complain about it."""

    table: Path
    line: int
    values: Mapping[str, str]
    """The cells by the name of their column, in small letters."""

    def text(self, column: str) -> str | None:
        """Give the value without blanks around it; None if empty or absent."""
        return (self.values.get(column.lower()) or "").strip() or None

    def needed(self, column: str) -> str:
        """Give the value without blanks around it; refuse an empty one."""
        return self.text(column) or self.refuse(column, None, "a value in every line")

    def number(self, column: str) -> float | None:
        """Read a finite number; None if empty or absent."""
        text = self.text(column)
        try:
            value = None if text is None else float(text)
        except ValueError:
            self.refuse(column, text, "a number")
        if value is not None and not math.isfinite(value):
            self.refuse(column, text, "a number")
        return value

    def integers(self, column: str) -> tuple[int, ...]:
        """Read whole numbers between bars, `3|4`; an empty tuple if empty or absent."""
        text = self.text(column)
        try:
            return tuple(int(float(part)) for part in (text or "").split("|") if part.strip())
        except (ValueError, OverflowError):
            self.refuse(column, text, "whole numbers between bars, as in 3|4")

    def label(self, column: str) -> Label:
        """Read a class."""
        text = self.text(column)
        label = _LABELS.get((text or "").lower())
        if label is None:
            self.refuse(column, text, "benign or malignant")
        return label

    def refuse(self, column: str, found: str | None, expected: str) -> NoReturn:
        """Say what was found in which line, and what was expected."""
        msg = f"{self.table}:{self.line}: {column} is {found or 'empty'}, expected {expected}"
        raise DataError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The way in which a table is written."""

    delimiter: str = ","
    """Between the cells of a CSV file."""
    errors: str = "strict"
    """Python's way with bytes of a CSV file that are no UTF-8."""
    sheet: str | None = None
    """Of an Excel file; the first one if there is none of that name."""


PLAIN: Final = Form()


def rows(
    path: Path, needed: Collection[str], *, keep: Collection[str] | None = None, form: Form = PLAIN
) -> Iterator[Row]:
    """
    Read a table with a header; blank lines say nothing.

    Args:
        path: a CSV file, or an Excel file by its ending.
        needed: columns that must be there; small and capital letters are the same.
        keep: the columns that are looked at; None: all.
        form: of the file.

    Raises:
        DataError: a column is missing, or the file cannot be read.
    """
    is_csv = path.suffix.lower() == ".csv"
    lines = _csv_lines(path, form) if is_csv else _sheet(path, form.sheet)
    header = [name.strip().lower() for name in next(lines, (1, []))[1]]
    missing = [name for name in needed if name.lower() not in header]
    if missing:
        msg = f"{path}:1: no column {', '.join(missing)}; found {', '.join(header) or 'nothing'}"
        raise DataError(msg)
    wanted = set(header) if keep is None else {name.lower() for name in keep}
    places = [(name, place) for place, name in enumerate(header) if name in wanted]
    for line, cells in lines:
        if any(cells):
            filled = [*cells, *[""] * (len(header) - len(cells))]
            yield Row(path, line, {name: filled[place] for name, place in places})


def _csv_lines(path: Path, form: Form) -> Iterator[tuple[int, list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig", errors=form.errors) as file:
            reader = csv.reader(file, delimiter=form.delimiter)
            for cells in reader:
                yield reader.line_num, cells
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: not a readable CSV file: {error}"
        raise DataError(msg) from None


def _sheet(path: Path, name: str | None) -> Iterator[tuple[int, list[str]]]:
    import python_calamine  # noqa: PLC0415 - only an Excel file needs it

    try:
        with python_calamine.CalamineWorkbook.from_path(path) as workbook:
            sheet = (
                workbook.get_sheet_by_name(name)
                if name in workbook.sheet_names
                else workbook.get_sheet_by_index(0)
            )
            for line, cells in enumerate(sheet.to_python(), 1):
                yield line, [str(cell) for cell in cells]
    except python_calamine.CalamineError as error:
        msg = (
            f"{path}: not a readable Excel file ({error}); expected the sheet that came with the "
            "images, or the same as a CSV file"
        )
        raise DataError(msg) from None
