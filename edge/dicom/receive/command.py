"""Command sets of DIMSE requests (PS3.7, 6.3): implicit VR, little endian, group 0000."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from edge.contract.receiver import Aborted

ECHO: Final = 0x0030
STORE: Final = 0x0001
NO_DATA_SET: Final = 0x0101
HEAD: Final = 8
"""Bytes of an element's tag and length."""
SHORT: Final = 2
"""Bytes of a number."""
UID: Final = re.compile(rb"[0-9.]{1,64}")


class ViolationError(Exception):
    """The peer breaks the protocol or a limit: the association is aborted."""

    cause: ClassVar[Aborted] = Aborted.PROTOCOL


class TooLargeError(ViolationError):
    """An object is larger than allowed."""

    cause = Aborted.OBJECT_TOO_LARGE


@dataclass(frozen=True, slots=True)
class Command:
    """A request, as far as the receiver needs to know it."""

    field: int
    """ECHO, STORE or another number."""
    message_id: int
    sop_class: str
    instance: str
    """UID of the object; empty if the request is about none."""
    has_data: bool
    """True if a data set follows."""


def parse(data: bytes) -> Command:
    """
    Read a command set.

    Raises:
        ViolationError: it is none, or lacks what every request to us has.
    """
    values = dict(_elements(data))
    try:
        return Command(
            field=_number(values[0x0100]),
            message_id=_number(values[0x0110]),
            sop_class=_uid(values[0x0002]),
            instance=_uid(values[0x1000]) if 0x1000 in values else "",  # noqa: PLR2004 - its tag
            has_data=_number(values[0x0800]) != NO_DATA_SET,
        )
    except KeyError as error:
        msg = f"a command without element {error.args[0]:04X}"
        raise ViolationError(msg) from None


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place < len(data):
        group, element, length = (
            int.from_bytes(data[place + start : place + end], "little")
            for start, end in ((0, 2), (2, 4), (4, 8))
        )
        value = data[place + HEAD : place + HEAD + length]
        if group or place + HEAD > len(data) or len(value) != length:
            msg = "a command set that is none"
            raise ViolationError(msg)
        yield element, value
        place += HEAD + length


def _number(value: bytes) -> int:
    if len(value) != SHORT:
        msg = f"a number of {len(value)} bytes in a command, expected {SHORT}"
        raise ViolationError(msg)
    return int.from_bytes(value, "little")


def _uid(value: bytes) -> str:
    text = value.rstrip(b"\0 ")
    if not UID.fullmatch(text):
        msg = "a UID in a command that is none"
        raise ViolationError(msg)
    return text.decode("ascii")
