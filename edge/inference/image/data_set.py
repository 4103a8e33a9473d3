"""
The data set behind the file meta information: where it begins, inflated, in its own byte order.

Some writers name another transfer syntax than they write; the first element, of group 0008, tells.
"""

import struct
import zlib
from typing import Final

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
)

from edge.errors import ImageRejected, Reason
from edge.inference.image.frame import Buffer

META_GROUP: Final = b"\x02\0"
META_BYTES: Final = 16_384
"""The file meta information ends before this; it is some hundred bytes."""
LONG_VRS: Final = frozenset({b"OB", b"OW", b"UN", b"UT", b"SQ"})
"""VRs with a length of four bytes, behind two reserved ones."""
LITTLE: Final = b"\x08\0"
BIG: Final = b"\0\x08"
ZLIB: Final = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
"""First bytes of a zlib stream, which some writers put in place of a bare deflated one."""


def start(data: Buffer, at: int) -> int:
    """
    Find the end of the file meta information, whatever its group length says.

    Args:
        data: a file.
        at: behind its prefix; 0 without one.

    Raises:
        struct.error: the file ends inside it.
    """
    while data[at : at + 2] == META_GROUP and at < META_BYTES:
        vr = data[at + 4 : at + 6]
        if vr in LONG_VRS:
            at += 12 + int(struct.unpack("<I", data[at + 8 : at + 12])[0])
        elif vr.isalpha() and vr.isupper():
            at += 8 + int(struct.unpack("<H", data[at + 6 : at + 8])[0])
        else:  # file meta information in implicit VR
            at += 8 + int(struct.unpack("<I", data[at + 4 : at + 8])[0])
    return at


def is_as_said(data: Buffer, at: int, syntax: UID) -> bool:
    """Tell if the data set has the byte order that is said, and is deflated if that is said."""
    if syntax == DeflatedExplicitVRLittleEndian:
        return not _is_bare(data, at)
    return data[at : at + 2] != (LITTLE if syntax == ExplicitVRBigEndian else BIG)


def _is_bare(data: Buffer, at: int) -> bool:
    """Tell an element of group 0008 from a stored block of a deflated stream (RFC 1951, 3.2.4)."""
    first, fourth = data[at : at + 2], data[at + 3 : at + 4]
    if first == LITTLE:
        return fourth != b"\xff"  # a block's fourth byte is the complement of its second
    return first == BIG and fourth != b"\xf7"


def inflated(data: Buffer, at: int, max_bytes: int) -> bytes:
    """
    Return the file with its data set inflated (PS3.5, A.5), its meta information saying so.

    Raises:
        ImageRejected: it becomes too large, ends early, or was never deflated.
    """
    bits = zlib.MAX_WBITS if data[at : at + 2] in ZLIB else -zlib.MAX_WBITS
    unzip = zlib.decompressobj(bits)
    try:
        body = unzip.decompress(data[at:], max_bytes)
    except zlib.error:
        detail = "the transfer syntax is Deflated Explicit VR, but its data set cannot be inflated"
        raise ImageRejected(Reason.UNREADABLE, detail) from None
    if unzip.unconsumed_tail:
        detail = f"inflated it has more than the limit of {max_bytes} bytes"
        raise ImageRejected(Reason.TOO_LARGE, detail)
    if not unzip.eof:
        raise ImageRejected(Reason.TRUNCATED, "the DICOM ends inside its deflated data set")
    plain = ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    return data[:at].replace(DeflatedExplicitVRLittleEndian.encode(), plain) + body


def check_start(data: Buffer, at: int, syntax: UID) -> None:
    """
    Refuse a data set that begins with nothing that could be an element.

    Raises:
        ImageRejected: neither byte of its first group is 0, so it is in no known encoding. A
            group of which only one byte is there is cut.
    """
    first = data[at : at + 2]
    if len(first) == len(LITTLE) and 0 not in first:
        detail = (
            f"the transfer syntax is {syntax.name}, but the data set begins with the bytes "
            f"{first.hex(' ').upper()}, expected 08 00 or 00 08"
        )
        raise ImageRejected(Reason.UNREADABLE, detail)
