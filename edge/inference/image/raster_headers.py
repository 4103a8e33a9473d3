"""Size and completeness of a raster file by its own bytes, read before any codec."""

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple, NoReturn, TypeAlias

from edge.errors import ImageRejected, Reason


class Size(NamedTuple):
    """A picture's size in pixels, and which way round it is."""

    rows: int
    columns: int
    white_is_zero: bool = False
    """A TIFF stored dark = dense."""
    bits: int = 8
    """Of a sample."""
    channels: int = 1
    """Of a JPEG or JPEG 2000."""
    signed: bool = False
    """Of a JPEG 2000's samples."""
    process: int = 0
    """The second byte of the marker that a JPEG's frame header starts with: its kind of coding."""


Header: TypeAlias = Callable[[bytes], Size]
"""
Reads a size. Raises ImageRejected, or struct.error or IndexError where the file ends inside its
header.
"""

WEBP_ANIMATED: Final = 2
WEBP_ALPHA: Final = 0x10
"""Of the flags of VP8X, and of the fourth byte behind the signature of VP8L."""
PNG_COLOUR: Final = 25
"""Place of the byte that tells a PNG's colour type."""
PNG_GREY: Final = 0
PNG_ALPHA: Final = frozenset({4, 6})
OS2_HEADER_BYTES: Final = 12
"""Of the BMP header of 1988."""
NETPBM_CHANNELS: Final[Mapping[bytes, int]] = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
NEXT_NETPBM: Final = re.compile(rb"\s*P[1-7]\s")
"""Another picture behind the first."""


def ends_early(what: str) -> NoReturn:
    """Reject a file that ends too early."""
    raise ImageRejected(Reason.TRUNCATED, f"the {what}, so the file is incomplete")


def png(data: bytes) -> Size:
    """Size of a PNG whose chunks all check out down to IEND."""
    at, kind = 8, b""
    while kind != b"IEND":
        if at + 12 > len(data):
            ends_early("PNG ends before its IEND chunk")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            ends_early("PNG ends inside a chunk")
        if zlib.crc32(memoryview(data)[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            detail = "a PNG chunk fails its checksum, so the file is damaged"
            raise ImageRejected(Reason.UNREADABLE, detail)
        if kind == b"acTL":
            check_pictures("PNG is animated and", int.from_bytes(data[at + 8 : at + 12], "big"))
        at = end + 4
    check_pictures("PNG", 1 + (data[at : at + 8] == data[:8]))
    columns, rows, bits = struct.unpack_from(">IIB", data, 16)
    return Size(rows, columns, bits=bits)


def check_pictures(what: str, found: int) -> None:
    """Refuse a file of several pictures."""
    if found > 1:
        detail = f"the {what} holds {found} pictures, expected one"
        raise ImageRejected(Reason.MULTI_FRAME, detail)


def bmp(data: bytes) -> Size:
    """Size of a BMP; an uncompressed one must hold all its rows."""
    start, header_bytes = struct.unpack_from("<II", data, 10)
    if header_bytes == OS2_HEADER_BYTES:
        columns, rows, _, bits = struct.unpack_from("<HHHH", data, 18)
        compression = 0
    else:
        columns, rows, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    rows = abs(rows)  # negative: stored from the top
    if compression == 0 and start + (columns * bits + 31) // 32 * 4 * rows > len(data):
        ends_early("BMP ends before its last row")
    return Size(rows, columns)


def _netpbm_numbers(data: bytes) -> Iterator[tuple[int, int]]:
    at = 2
    while True:
        while data[at : at + 1].isspace():
            at += 1
        if data[at : at + 1] == b"#":
            at = data.index(b"\n", at)
            continue
        end = at
        while data[end : end + 1].isdigit():
            end += 1
        if not 0 < end - at < 10:  # noqa: PLR2004 - more digits than any picture needs
            raise ImageRejected(Reason.UNREADABLE, "the PGM's header is damaged")
        yield int(data[at:end]), end
        at = end


def netpbm(data: bytes) -> Size:
    """Size of a PGM or PPM; a binary one must hold all its pixels."""
    try:
        numbers = _netpbm_numbers(data)
        (columns, _), (rows, _), (white, end) = next(numbers), next(numbers), next(numbers)
    except ValueError:
        ends_early("PGM ends inside its header")
    bits = 8 if white < 256 else 16  # noqa: PLR2004 - Netpbm's rule
    channels = NETPBM_CHANNELS[data[:2]]
    if data[:2] in {b"P5", b"P6"}:
        end += 1 + rows * columns * channels * bits // 8
        if end > len(data):
            ends_early("PGM ends before its last pixel")
        check_pictures("PGM file", 1 + bool(NEXT_NETPBM.match(data, end)))
    else:
        check_pictures("PGM file", 1 + bool(NEXT_NETPBM.search(data, end)))
    return Size(rows, columns, bits=bits, channels=channels)


def webp(data: bytes) -> Size:
    """Size of a still WebP whose RIFF length is there."""
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        ends_early("WebP ends before its RIFF length")
    kind = data[12:16]
    if kind == b"VP8X":
        if data[20] & WEBP_ANIMATED:
            raise ImageRejected(Reason.MULTI_FRAME, "the WebP is animated, expected one picture")
        return Size(
            int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1
        )
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return Size((packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1)
    columns, rows = struct.unpack_from("<HH", data, 26)
    return Size(rows & 0x3FFF, columns & 0x3FFF)


def transparent_grey(data: bytes, name: str) -> int | None:
    """Read the one grey level that a grey PNG of 8 or 16 bits calls transparent; None without."""
    at, bits = data.find(b"tRNS"), data[PNG_COLOUR - 1]
    if name != "png" or data[PNG_COLOUR] != PNG_GREY or bits < 8 or at < 0:  # noqa: PLR2004
        return None
    level = int.from_bytes(data[at + 4 : at + 6], "big")
    return level & ((1 << bits) - 1)


def may_be_transparent(data: bytes, name: str) -> bool:
    """Return True for a PNG or WebP with transparency, by its header."""
    if name == "png":
        return data[PNG_COLOUR] in PNG_ALPHA or 0 < data.find(b"tRNS") < data.find(b"IDAT")
    if name != "webp":
        return False
    extended = data[12:16] == b"VP8X" and data[20] & WEBP_ALPHA
    return bool(extended) or (data[12:16] == b"VP8L" and bool(data[24] & WEBP_ALPHA))
