"""A DICOM file's structure: its transfer syntax, its header, and the place of its pixel data."""

import io
import re
import struct
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import pydicom
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from edge.errors import ImageRejected, Reason
from edge.inference.image import data_set
from edge.inference.image.frame import Buffer

PREFIX: Final = b"DICM"
PREAMBLE: Final = 128
BARE_GROUPS: Final = (b"\x02\0", b"\x08\0", b"\0\x08")
"""The first group of a file without preamble: file meta information, or identification."""
TRANSFER_SYNTAX: Final = b"\x02\0\x10\0"
IMPLICIT_SYNTAX: Final = rb"\x02\0.*?\x02\0\x10\0[\x10-\x40]\0\0\0([0-9.]+)[\0 ]*"
"""
File meta information without VRs, up to the transfer syntax: a length of four bytes, then the name.
"""
SHORTEST_META: Final = 16
"""Prefix and group length."""
PIXEL_DATA: Final = 0x7FE00010
FLOAT_PIXEL_DATA: Final = frozenset({0x7FE00008, 0x7FE00009})
UNDEFINED: Final = 0xFFFFFFFF
"""Length of encapsulated pixel data."""


@dataclass(frozen=True, slots=True)
class File:
    """A DICOM file, read up to its pixel data."""

    header: FileDataset
    syntax: UID
    data: Buffer
    """The bytes that `header` was read from: the file, or its inflated copy."""
    at: int
    """The header's end: the pixel data element, or the end of the file."""


@dataclass(frozen=True, slots=True)
class PixelData:
    """The place and length of the pixel data's value; UNDEFINED if it is encapsulated."""

    start: int
    length: int
    in_bytes: bool = False
    """True for VR OB: its bytes stand in their order even in a big-endian file (PS3.5, 7.3)."""


def is_dicom(data: Buffer) -> bool:
    """Tell if these bytes are a DICOM file as PS3.10 has it."""
    return data[PREAMBLE : PREAMBLE + 4] == PREFIX


def transfer_syntax(data: Buffer) -> UID | None:
    """Read the transfer syntax from the file meta information; None without one."""
    start = PREAMBLE + 4 if is_dicom(data) else 0
    at = data.find(TRANSFER_SYNTAX + b"UI", start, data_set.META_BYTES)
    if at < 0:
        return _without_vr(data[start : data_set.META_BYTES])
    start = at + 8
    length = int.from_bytes(data[at + 6 : start], "little")
    if start + length > len(data):
        return None  # what is left of it is no name
    return UID(data[start : start + length].rstrip(b"\0 ").decode("ascii", "replace"))


def _without_vr(meta: bytes) -> UID | None:
    """Read it from file meta information in implicit VR, as some senders write it."""
    found = re.match(IMPLICIT_SYNTAX, meta, re.DOTALL)
    return UID(found[1].decode("ascii")) if found else None


def read(data: Buffer, max_bytes: int) -> File | None:
    """
    Read the header.

    Args:
        data: begins with preamble and prefix, or without them.
        max_bytes: what a deflated file may be inflated to.

    Returns:
        None where the bytes turn out to be no DICOM file.

    Raises:
        ImageRejected: it is deflated, and becomes too large or ends early.
        Exception: whatever pydicom makes of a damaged header.
    """
    whole = has_prefix = is_dicom(data)
    if not whole and data[:2] not in BARE_GROUPS:
        return None
    if whole and len(data) < PREAMBLE + SHORTEST_META:
        truncated("inside its header")
    syntax = transfer_syntax(data)
    begins = data_set.start(data, PREAMBLE + 4 if whole else 0)
    if syntax and not data_set.is_as_said(data, begins, syntax):
        data, whole, syntax = data[begins:], False, None
    elif syntax == DeflatedExplicitVRLittleEndian:
        data = data_set.inflated(data, begins, max_bytes)
    # a mapping reads and seeks, too
    stream: Any = io.BytesIO(data) if isinstance(data, bytes) else data
    stream.seek(0)
    header = pydicom.dcmread(stream, stop_before_pixels=True, force=not whole)
    at = stream.tell()
    # before anything is asked of the header, which forgets where it stood
    cut = at >= len(data) and _is_cut(header, len(data))
    if not has_prefix and not any(
        keyword in header for keyword in ("SOPClassUID", "Modality", "Rows")
    ):
        return None
    if cut:
        if syntax:
            data_set.check_start(data, begins, syntax)
        truncated("inside its header")
    return File(header, syntax or guessed(header), data, at)


def pixel_data(file: File) -> PixelData:
    """
    Find the pixel data element.

    Raises:
        ImageRejected: there is none, or the file ends inside it.
    """
    data, at = file.data, file.at
    order = "<" if file.header.original_encoding[1] else ">"
    if at + 8 > len(data):
        _reject_without_pixels()
    group, element = struct.unpack(order + "HH", data[at : at + 4])
    if group << 16 | element in FLOAT_PIXEL_DATA:
        raise ImageRejected(
            Reason.UNSUPPORTED_FORMAT,
            "its pixels are floating point numbers, expected 8 or 16-bit integers",
        )
    if group << 16 | element != PIXEL_DATA:
        _reject_without_pixels()
    explicit = data[at + 4 : at + 6] in {b"OB", b"OW", b"UN"}
    start = at + (12 if explicit else 8)
    if start > len(data):
        truncated("inside its pixel data")
    (length,) = struct.unpack(order + "I", data[start - 4 : start])
    return PixelData(start, length, in_bytes=data[at + 4 : at + 6] == b"OB")


def truncated(where: str) -> NoReturn:
    """Reject a file that ends too early."""
    raise ImageRejected(Reason.TRUNCATED, f"the DICOM ends {where}")


def guessed(header: FileDataset) -> UID:
    """Return the encoding that pydicom found in a file that names none."""
    implicit, little = header.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else explicit


def _reject_without_pixels() -> NoReturn:
    raise ImageRejected(
        Reason.NO_PIXELS, "the DICOM has no pixel data: a header only, or not an image"
    )


def _is_cut(header: Dataset, length: int) -> bool:
    """Tell if the last element that pydicom read is cut, or is not the end."""
    last: object = header.get_item(max(header.keys())) if header else None
    return last is None or (
        isinstance(last, RawDataElement) and last.value_tell + last.length != length
    )
