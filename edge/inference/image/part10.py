"""
A DICOM file's structure: its transfer syntax, its header, and where its pixel data lie. Nothing is
decoded here.
"""

import io
import re
import struct
import zlib
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

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
from edge.inference.image import Buffer

PREFIX: Final = b"DICM"
PREAMBLE: Final = 128
BARE_GROUPS: Final = (b"\x02\0", b"\x08\0", b"\0\x08")
"""
What a file without preamble starts with: the file meta information, or the identifying group in
either byte order.
"""
TRANSFER_SYNTAX: Final = b"\x02\0\x10\0"
IMPLICIT_SYNTAX: Final = rb"\x02\0.*?\x02\0\x10\0[\x10-\x40]\0\0\0([0-9.]+)[\0 ]*"
"""
File meta information without VRs, up to the transfer syntax: a length of four bytes, then the name.
"""
SHORTEST_META: Final = 16
"""Prefix and group length."""
META_BYTES: Final = 16_384
"""The file meta information ends before this; it is some hundred bytes."""
PIXEL_DATA: Final = 0x7FE00010
FLOAT_PIXEL_DATA: Final = frozenset({0x7FE00008, 0x7FE00009})
ITEM: Final = 0xFFFEE000
ITEM_TAG: Final = b"\xfe\xff\0\xe0"
DELIMITER: Final = 0xFFFEE0DD
FRAME_STARTS: Final = (
    b"\xff\xd8\xff",
    b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cjP  ",
    *(struct.pack("<II", segments, 64) for segments in (1, 2)),
)
"""How a frame in JPEG and JPEG-LS, JPEG 2000 (bare or in boxes) and run lengths starts."""
UNDEFINED: Final = 0xFFFFFFFF
"""Length of encapsulated pixel data."""


@dataclass(frozen=True, slots=True)
class File:
    """A DICOM file, read up to its pixel data."""

    header: FileDataset
    syntax: UID
    data: Buffer
    """What `header` was read from: the file, or what it was inflated to."""
    at: int
    """Where the header ends: at the pixel data element, or at the end."""


@dataclass(frozen=True, slots=True)
class PixelData:
    """
    Where the pixel data's value starts, and how long it is; UNDEFINED where it is encapsulated.
    """

    start: int
    length: int


class Frame(NamedTuple):
    """A compressed frame."""

    data: bytes
    ending: ImageRejected
    """What is wrong with the file if the frame turns out not to be whole."""


def is_dicom(data: Buffer) -> bool:
    """Whether these bytes are a DICOM file as PS3.10 has it."""
    return data[PREAMBLE : PREAMBLE + 4] == PREFIX


def transfer_syntax(data: Buffer) -> UID | None:
    """What the file meta information says; None where it says nothing."""
    start = PREAMBLE + 4 if is_dicom(data) else 0
    at = data.find(TRANSFER_SYNTAX + b"UI", start, META_BYTES)
    if at < 0:
        return _without_vr(data[start:META_BYTES])
    start = at + 8
    length = int.from_bytes(data[at + 6 : start], "little")
    if start + length > len(data):
        return None  # what is left of it is no name
    return UID(data[start : start + length].rstrip(b"\0 ").decode("ascii", "replace"))


def _without_vr(meta: bytes) -> UID | None:
    """What file meta information says that was written in implicit VR, as by some senders."""
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
    whole = is_dicom(data)
    if not whole and data[:2] not in BARE_GROUPS:
        return None
    if whole and len(data) < PREAMBLE + SHORTEST_META:
        truncated("inside its header")
    syntax = transfer_syntax(data)
    if syntax == DeflatedExplicitVRLittleEndian:
        data = _inflated(data, max_bytes)
    stream: Any = (
        io.BytesIO(data) if isinstance(data, bytes) else data
    )  # a mapping reads and seeks, too
    stream.seek(0)
    header = pydicom.dcmread(stream, stop_before_pixels=True, force=not whole)
    at = stream.tell()
    cut = at >= len(data) and _is_cut(
        header, len(data)
    )  # before anything is asked of it, which forgets where it stood
    if not whole and not any(keyword in header for keyword in ("SOPClassUID", "Modality", "Rows")):
        return None
    if cut:
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
    return PixelData(start, length)


def is_encapsulated(file: File, pixels: PixelData) -> bool:
    """Return True for fragments, also for those that a definite length was written for."""
    return pixels.length == UNDEFINED or file.data[pixels.start : pixels.start + 4] == ITEM_TAG


def frame(file: File, pixels: PixelData) -> Frame:
    """
    Join the fragments of the one encapsulated frame.

    Raises:
        ImageRejected: there are none, or those of several frames.
    """
    fragments, ending = _fragments(file.data, pixels.start)
    if fragments and not _is_start(fragments[0]):
        del fragments[0]  # the basic offset table; some writers leave it out
    if not fragments:
        raise ending
    starts = sum(map(_is_start, fragments))
    if starts > 1:
        detail = f"its pixel data has {starts} frames, expected the one that its header says"
        raise ImageRejected(Reason.MULTI_FRAME, detail)
    return Frame(b"".join(fragments), ending)


def bare_frame(file: File, pixels: PixelData) -> Frame | None:
    """The frame that stands in the pixel data as it is, without items; None if there is none."""
    data = file.data[pixels.start : pixels.start + pixels.length]
    cut = len(data) < pixels.length
    reason = Reason.TRUNCATED if cut else Reason.UNREADABLE
    ending = ImageRejected(reason, f"the compressed frame ends after {len(data)} bytes")
    return Frame(data, ending) if _is_start(data) else None


def truncated(where: str) -> NoReturn:
    """Reject a file that ends too early."""
    raise ImageRejected(Reason.TRUNCATED, f"the DICOM ends {where}")


def _is_start(fragment: bytes) -> bool:
    return fragment.startswith(FRAME_STARTS)


def _fragments(data: Buffer, at: int) -> tuple[list[bytes], ImageRejected]:
    """
    Read items up to their delimiter, or to whatever stands in its place.

    Returns:
        The items' values, and the rejection that is due if they are not a whole frame.
    """
    found: list[bytes] = []
    while at + 8 <= len(data):
        group, element, length = struct.unpack("<HHI", data[at : at + 8])
        tag = group << 16 | element
        if tag == DELIMITER:
            detail = "the compressed frame ends early, although its file is whole"
            return found, ImageRejected(Reason.UNREADABLE, detail)
        if tag != ITEM:
            detail = (
                f"found ({group:04X},{element:04X}) among the fragments of the pixel data, "
                "expected an item (FFFE,E000) or the delimiter (FFFE,E0DD)"
            )
            return found, ImageRejected(Reason.UNREADABLE, detail)
        found.append(data[at + 8 : at + 8 + length])
        at += 8 + length
    return found, ImageRejected(Reason.TRUNCATED, "the DICOM ends inside its pixel data")


def _inflated(data: Buffer, max_bytes: int) -> bytes:
    """
    The same file with its data set inflated (PS3.5, A.5), its file meta information saying so.
    """
    start = _meta_end(data)
    unzip = zlib.decompressobj(-zlib.MAX_WBITS)
    body = unzip.decompress(data[start:], max_bytes)
    if unzip.unconsumed_tail:
        raise ImageRejected(
            Reason.TOO_LARGE, f"inflated it has more than the limit of {max_bytes} bytes"
        )
    if not unzip.eof:
        truncated("inside its deflated data set")
    plain = ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    return data[:start].replace(DeflatedExplicitVRLittleEndian.encode(), plain) + body


def _meta_end(data: Buffer) -> int:
    """
    Where the file meta information ends: its group length comes first, and counts from its own end.
    """
    start = (PREAMBLE + 4 if is_dicom(data) else 0) + 12
    return start + int(struct.unpack("<I", data[start - 4 : start])[0])


def guessed(header: FileDataset) -> UID:
    """What pydicom found where an old file says nothing."""
    implicit, little = header.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else explicit


def _reject_without_pixels() -> NoReturn:
    raise ImageRejected(
        Reason.NO_PIXELS, "the DICOM has no pixel data: a header only, or not an image"
    )


def _is_cut(header: Dataset, length: int) -> bool:
    """
    Pydicom ends in silence where the bytes do: see whether the last element it read is whole and is
    the end.
    """
    last: object = header.get_item(max(header.keys())) if header else None
    return last is None or (
        isinstance(last, RawDataElement) and last.value_tell + last.length != length
    )
