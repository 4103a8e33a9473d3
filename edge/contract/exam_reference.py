"""The sender's reference of an exam: in a user property, or in the message on `request/ref`."""

import json
from collections.abc import Iterable
from typing import Final

from edge.contract.limits import EXAM_BYTES

EXAM: Final = "exam"


def exam_of_properties(user: Iterable[tuple[str, str]]) -> str | None:
    """
    Return the value of the user property `exam`; None without one.

    Raises:
        ValueError: there are several, or it is no reference; the text says what was expected.
    """
    found = [value for name, value in user if name == EXAM]
    if len(found) > 1:
        msg = f"the request has {len(found)} user properties `exam`, expected one"
        raise ValueError(msg)
    return _checked(found[0]) if found else None


def exam_of_reference(request: bytes) -> str | None:
    """
    Return the field `exam` of a message on `request/ref`; None without one.

    Args:
        request: JSON with an object in it.

    Raises:
        ValueError: it is no reference; the text says what was expected.
    """
    found = json.loads(request).get(EXAM)
    return None if found is None else _checked(found)


def _checked(found: object) -> str:
    try:
        size = len(found.encode()) if isinstance(found, str) else 0
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write
        size = 0
    if not isinstance(found, str) or not 1 <= size <= EXAM_BYTES:
        said = f"an exam of {size} bytes" if size else "an exam that is no text"
        msg = f"the request names {said}, expected 1 to {EXAM_BYTES} bytes of text"
        raise ValueError(msg)
    return found
