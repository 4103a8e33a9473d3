"""Header values as text, numbers and items, as far as they make sense."""

import math
from collections.abc import Sequence
from typing import Final

from pydicom import Dataset
from pydicom import Sequence as DicomSequence

WRONG: Final = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    NotImplementedError,
    OverflowError,
    FloatingPointError,
)
"""Errors that a header value which makes no sense leads to, in pydicom and here."""


def text(header: Dataset, keyword: str) -> str:
    """Return a value in capitals and without blanks around it, "" for one that is absent."""
    return str(header.get(keyword) or "").strip().upper()


def items(header: Dataset, keyword: str) -> Sequence[Dataset]:
    """Return the items of a sequence, none for one that is absent."""
    found = header.get(keyword)
    return found if isinstance(found, DicomSequence) else ()


def numbers(header: Dataset, keyword: str) -> tuple[float, ...]:
    """
    Return all numbers of an attribute, none if it is absent or empty.

    Raises:
        ValueError: something stands there that is no finite number.
    """
    return tuple(map(_number, _parts(header, keyword)))


def number(header: Dataset, keyword: str) -> float | None:
    """
    Return the first number of an attribute, None if it is absent or empty.

    Raises:
        ValueError: something stands there that is no finite number.
    """
    parts = _parts(header, keyword)
    return _number(parts[0]) if parts and str(parts[0]).strip("\0 ") else None


def _parts(header: Dataset, keyword: str) -> Sequence[object]:
    value = header.get(keyword)
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return value.split("\\")
    return value if isinstance(value, Sequence) else (value,)


def _number(part: object) -> float:
    """Read one number; some devices write the comma of their country for the decimal point."""
    found = float(str(part).strip("\0 ").replace(",", "."))
    if not math.isfinite(found):
        msg = "it is no finite number"
        raise ValueError(msg)
    return found
