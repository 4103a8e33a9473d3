"""The head of a DICOM file: preamble and file meta information (PS3.10, 7.1)."""

from typing import Final

IMPLEMENTATION_UID: Final = "2.25.191977342981537960603600815212721877867"
"""The implementation of all versions, so that equal objects are equal files: never change it."""
IMPLEMENTATION: Final = "MAMMO_EDGE"
GROUP: Final = (2).to_bytes(2, "little")


def head(sop_class: str, instance: str, syntax: str) -> bytes:
    """
    Write all that stands before the data set.

    Args:
        sop_class: UID of the object's class.
        instance: UID of the object.
        syntax: UID of the transfer syntax in which the data set was sent.
    """
    elements = b"".join(
        (
            GROUP + b"\x01\0OB\0\0" + (2).to_bytes(4, "little") + b"\0\x01",
            _text(0x02, b"UI", sop_class),
            _text(0x03, b"UI", instance),
            _text(0x10, b"UI", syntax),
            _text(0x12, b"UI", IMPLEMENTATION_UID),
            _text(0x13, b"SH", IMPLEMENTATION),
        )
    )
    length = len(elements).to_bytes(4, "little")
    return bytes(128) + b"DICM" + _element(0, b"UL", length) + elements


def _text(element: int, kind: bytes, text: str) -> bytes:
    value = text.encode("ascii")
    if len(value) % 2:
        value += b"\0" if kind == b"UI" else b" "
    return _element(element, kind, value)


def _element(element: int, kind: bytes, value: bytes) -> bytes:
    number = element.to_bytes(2, "little")
    return GROUP + number + kind + len(value).to_bytes(2, "little") + value
