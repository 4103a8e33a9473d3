"""
What a raster file's own bytes say of its size and completeness, read before any codec sees them.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
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

JPEG_BITS: Final = 8
JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers that start a frame header; 0xF7 is JPEG-LS's."""
JPEG_SCAN: Final = 0xDA
JPEG_APP2: Final = 0xE2
JPEG_SEGMENT: Final = 0x10001
"""Upper limit of a segment's length, with its marker."""
MPF_PICTURES: Final = 0xB001
"""NumberOfImages of a multi-picture file."""
WEBP_ANIMATED: Final = 2
WEBP_ALPHA: Final = 0x10
"""Of the flags of VP8X, and of the fourth byte behind the signature of VP8L."""
PNG_COLOUR: Final = 25
"""Where a PNG says what a pixel is made of."""
PNG_ALPHA: Final = frozenset({4, 6})
OS2_HEADER_BYTES: Final = 12
"""Of the BMP header of 1988."""
NETPBM_CHANNELS: Final[Mapping[bytes, int]] = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
NEXT_NETPBM: Final = re.compile(rb"\s*P[1-7]\s")
"""Another picture behind the first."""
CODE_STREAM: Final = b"\xff\x4f\xff\x51"
"""How a JPEG 2000 code stream starts, bare or inside its boxes."""


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
            _check_pictures("PNG is animated and", int.from_bytes(data[at + 8 : at + 12], "big"))
        at = end + 4
    _check_pictures("PNG", 1 + (data[at : at + 8] == data[:8]))
    columns, rows, bits = struct.unpack_from(">IIB", data, 16)
    return Size(rows, columns, bits=bits)


def _check_pictures(what: str, found: int) -> None:
    if found > 1:
        detail = f"the {what} holds {found} pictures, expected one"
        raise ImageRejected(Reason.MULTI_FRAME, detail)


def jpeg(data: bytes) -> Size:
    """Size of a JPEG file of 8 bits, in one of the kinds that browsers show."""
    size = jpeg_frame(data)
    if not jpeg_is_whole(data):
        ends_early("JPEG has no end mark")
    if size.bits != JPEG_BITS:
        detail = f"the JPEG has {size.bits} bits per pixel, expected 8"
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    _check_one_jpeg(data)
    return size


def jpeg_frame(data: bytes) -> Size:
    """Size of a JPEG or JPEG-LS."""
    for at, marker in _jpeg_segments(data):
        if marker in JPEG_FRAMES:
            bits, rows, columns, channels = struct.unpack_from(">BHHB", data, at + 4)
            return Size(rows, columns, bits=bits, channels=channels, process=marker)
    raise ImageRejected(Reason.UNREADABLE, "the JPEG has no frame header before its first scan")


def jpeg_is_whole(data: bytes) -> bool:
    """
    Return True for a JPEG or JPEG-LS with an end mark.

    Decoders fill what is missing with grey and say nothing. Inside the scan 0xFF is always followed
    by 0x00 or a restart mark; an embedded thumbnail stands before the last scan.
    """
    return data.rfind(b"\xff\xd9") > data.rfind(b"\xff\xda")  # neither: -1 is not more than -1


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each segment before the first scan starts, and its marker's second byte."""
    at = 2
    while data[at + 1] != JPEG_SCAN:
        if data[at] != 0xFF:  # noqa: PLR2004 - every JPEG marker starts with this byte
            raise ImageRejected(Reason.UNREADABLE, "the JPEG's markers are damaged")
        if data[at + 1] == 0xFF:  # noqa: PLR2004 - fill byte
            at += 1
            continue
        yield at, data[at + 1]
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def _check_one_jpeg(data: bytes) -> None:
    """
    Refuse a second picture: of a multi-picture file (CIPA DC-007), or behind the first one's end.
    """
    segments = list(_jpeg_segments(data))
    parts = [data[at : at + JPEG_SEGMENT] for at, marker in segments if marker == JPEG_APP2]
    pictures = max(map(_pictures, parts), default=1)
    if pictures == 1 and data.find(b"\xff\xd9\xff\xd8\xff", segments[-1][0]) > 0:
        pictures = 2
    _check_pictures("JPEG file", pictures)


def _pictures(segment: bytes) -> int:
    """How many pictures an APP2 segment announces; 1 if it is about something else."""
    if segment[4:8] != b"MPF\0":
        return 1
    order = "<" if segment[8:10] == b"II" else ">"
    with suppress(struct.error):
        at = 8 + int(struct.unpack_from(order + "I", segment, 12)[0])
        (entries,) = struct.unpack_from(order + "H", segment, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            tag, value = struct.unpack_from(order + "H6xI", segment, entry)
            if tag == MPF_PICTURES:
                return int(value)
    return 1


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
        _check_pictures("PGM file", 1 + bool(NEXT_NETPBM.match(data, end)))
    else:
        _check_pictures("PGM file", 1 + bool(NEXT_NETPBM.search(data, end)))
    return Size(rows, columns, bits=bits, channels=channels)


def jpeg2000(data: bytes) -> Size:
    """Size of a JPEG 2000 file or bare code stream that has an end mark."""
    size = code_stream(data)
    if (
        b"pclr" in data[: data.find(CODE_STREAM)]
    ):  # ISO/IEC 15444-1, I.5.3.4: its numbers are places in a table
        raise ImageRejected(Reason.COLOUR, "the JPEG 2000 file has a palette, expected grey")
    if not code_stream_is_whole(data):
        ends_early("JPEG 2000 code stream has no end mark")
    first = data.find(CODE_STREAM)
    second = data.find(CODE_STREAM, data.find(b"\xff\xd9", first + len(CODE_STREAM)))
    _check_pictures("JPEG 2000 file", 1 + (second > first))
    if size.signed or size.channels not in {1, 3}:
        kind = "signed" if size.signed else "unsigned"
        detail = (
            f"the JPEG 2000 has {size.channels} channel(s) of {kind} numbers, "
            "expected 1 or 3 of unsigned ones"
        )
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    return size


def code_stream_is_whole(data: bytes) -> bool:
    """
    Return True for a JPEG 2000 with an end mark; no such pair of bytes can occur inside its
    packets.
    """
    return data.rfind(b"\xff\xd9") > data.find(b"\xff\x93", data.find(CODE_STREAM))


def code_stream(data: bytes) -> Size:
    """Size of a JPEG 2000 or HTJ2K code stream, bare or inside its boxes."""
    at = data.find(CODE_STREAM)
    if at < 0:
        ends_early("JPEG 2000 file has no code stream")
    length, _, right, bottom, left, top = struct.unpack_from(">HHIIII", data, at + 4)
    (channels,) = struct.unpack_from(">H", data, at + 40)
    if length != 38 + 3 * channels:  # ISO/IEC 15444-1, A.5.1; OpenCV 4.11 crashes on it
        raise ImageRejected(Reason.UNREADABLE, "the JPEG 2000 code stream's header is damaged")
    depth = data[at + 42]  # the first channel's
    return Size(
        bottom - top,
        right - left,
        bits=(depth & 0x7F) + 1,
        channels=channels,
        signed=bool(depth & 0x80),
    )


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


def may_be_transparent(data: bytes, name: str) -> bool:
    """Return True for a PNG or WebP with transparency, by its header."""
    if name == "png":
        return data[PNG_COLOUR] in PNG_ALPHA or 0 < data.find(b"tRNS") < data.find(b"IDAT")
    if name != "webp":
        return False
    extended = data[12:16] == b"VP8X" and data[20] & WEBP_ALPHA
    return bool(extended) or (data[12:16] == b"VP8L" and bool(data[24] & WEBP_ALPHA))
