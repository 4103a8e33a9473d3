"""What a raster file's own bytes say of its size and completeness, read before any codec sees them."""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, NoReturn, TypeAlias

from edge.errors import ImageRejected, Reason


class Size(NamedTuple):
    """A picture's size in pixels, and which way round it is."""

    rows: int
    columns: int
    white_is_zero: bool = False
    """A TIFF stored dark = dense."""
    bits: int = 8
    """Of a JPEG's samples."""
    channels: int = 1
    """Of a JPEG or JPEG 2000."""


Header: TypeAlias = Callable[[bytes], Size]
"""Reads a size. Raises ImageRejected, or struct.error or IndexError where the file ends inside its header."""

TIFF_PREVIEW: Final = 1
"""Bit of NewSubfileType: a reduced copy of another page."""
JPEG_BITS: Final = 8
JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers that start a frame header; 0xF7 is JPEG-LS's."""
WEBP_ANIMATED: Final = 2
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
            raise ImageRejected(Reason.UNREADABLE, "a PNG chunk fails its checksum, so the file is damaged")
        at = end + 4
    columns, rows = struct.unpack_from(">II", data, 16)
    return Size(rows, columns)


def jpeg(data: bytes) -> Size:
    """Size of a JPEG file of 8 bits, in one of the kinds that browsers show."""
    size = jpeg_frame(data)
    if size.bits != JPEG_BITS:
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, f"the JPEG has {size.bits} bits per pixel, expected 8")
    return size


def jpeg_frame(data: bytes) -> Size:
    """Size of a JPEG or JPEG-LS that has an end mark: decoders fill what is missing with grey and say nothing."""
    at = 2
    while data[at + 1] not in JPEG_FRAMES:
        if data[at] != 0xFF:  # noqa: PLR2004 - every JPEG marker starts with this byte
            raise ImageRejected(Reason.UNREADABLE, "the JPEG's markers are damaged")
        at += 1 if data[at + 1] == 0xFF else 2 + int(struct.unpack_from(">H", data, at + 2)[0])  # noqa: PLR2004 - fill byte
    bits, rows, columns, channels = struct.unpack_from(">BHHB", data, at + 4)
    # Inside the scan 0xFF is always followed by 0x00 or a restart mark; an embedded thumbnail stands before the last scan.
    if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        ends_early("JPEG has no end mark")
    return Size(rows, columns, bits=bits, channels=channels)


def bmp(data: bytes) -> Size:
    """Size of a BMP; an uncompressed one must hold all its rows."""
    start, header_bytes = struct.unpack_from("<II", data, 10)
    if header_bytes < 40:  # noqa: PLR2004 - the OS/2 header of 1988
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, "the BMP has an OS/2 header, expected a Windows one")
    columns, rows, _, bits, compression = struct.unpack_from("<iiHHI", data, 18)
    rows = abs(rows)  # negative: stored from the top
    if compression == 0 and start + (columns * bits + 31) // 32 * 4 * rows > len(data):
        ends_early("BMP ends before its last row")
    return Size(rows, columns)


def _pgm_numbers(data: bytes) -> Iterator[tuple[int, int]]:
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


def pgm(data: bytes) -> Size:
    """Size of a PGM; a binary one (P5) must hold all its pixels."""
    try:
        numbers = _pgm_numbers(data)
        (columns, _), (rows, _), (white, end) = next(numbers), next(numbers), next(numbers)
    except ValueError:
        ends_early("PGM ends inside its header")
    bytes_per_pixel = 1 if white < 256 else 2  # noqa: PLR2004 - Netpbm's rule
    if data[:2] == b"P5" and end + 1 + rows * columns * bytes_per_pixel > len(data):
        ends_early("PGM ends before its last pixel")
    return Size(rows, columns)


def jpeg2000(data: bytes) -> Size:
    """Size of a JPEG 2000 file or bare code stream that has an end mark."""
    size = code_stream(data)
    if data.rfind(b"\xff\xd9") < data.find(b"\xff\x93", data.find(CODE_STREAM)):  # no such pair can occur inside the packets
        ends_early("JPEG 2000 code stream has no end mark")
    return size


def code_stream(data: bytes) -> Size:
    """Size of a JPEG 2000 or HTJ2K code stream, bare or inside its boxes."""
    at = data.find(CODE_STREAM)
    if at < 0:
        ends_early("JPEG 2000 file has no code stream")
    length, _, right, bottom, left, top = struct.unpack_from(">HHIIII", data, at + 4)
    (channels,) = struct.unpack_from(">H", data, at + 40)
    if length != 38 + 3 * channels:  # ISO/IEC 15444-1, A.5.1; OpenCV 4.11 crashes on it
        raise ImageRejected(Reason.UNREADABLE, "the JPEG 2000 code stream's header is damaged")
    return Size(bottom - top, right - left, channels=channels)


def webp(data: bytes) -> Size:
    """Size of a still WebP whose RIFF length is there."""
    if struct.unpack_from("<I", data, 4)[0] + 8 > len(data):
        ends_early("WebP ends before its RIFF length")
    kind = data[12:16]
    if kind == b"VP8X":
        if data[20] & WEBP_ANIMATED:
            raise ImageRejected(Reason.MULTI_FRAME, "the WebP is animated, expected one picture")
        return Size(int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1)
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return Size((packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1)
    columns, rows = struct.unpack_from("<HH", data, 26)
    return Size(rows & 0x3FFF, columns & 0x3FFF)


def _tiff_numbers(data: bytes, order: str, at: int) -> tuple[int, ...]:
    """Values of one directory entry (BYTE, SHORT or LONG), from the entry or from where it points."""
    kind, count = struct.unpack_from(order + "HI", data, at + 2)
    code, width = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4)}.get(kind, ("", 0))
    if not width or count * width > len(data):
        return ()
    where = at + 8 if count * width <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]  # noqa: PLR2004 - bytes in an entry
    return struct.unpack_from(f"{order}{count}{code}", data, where)


def _tiff_pages(data: bytes, order: str) -> Iterator[dict[int, tuple[int, ...]]]:
    (at,) = struct.unpack_from(order + "I", data, 4)
    seen: set[int] = set()
    while at and at not in seen:
        seen.add(at)
        (count,) = struct.unpack_from(order + "H", data, at)
        entries = range(at + 2, at + 2 + 12 * count, 12)
        yield {struct.unpack_from(order + "H", data, entry)[0]: _tiff_numbers(data, order, entry) for entry in entries}
        (at,) = struct.unpack_from(order + "I", data, at + 2 + 12 * count)


def tiff(data: bytes) -> Size:
    """Size of a TIFF of one page (previews aside) whose strips or tiles are all there."""
    order = "<" if data[:2] == b"II" else ">"
    pages = [page for page in _tiff_pages(data, order) if not any(kind & TIFF_PREVIEW for kind in page.get(254, ()))]
    if len(pages) != 1:
        reason = Reason.MULTI_FRAME if pages else Reason.NO_PIXELS
        raise ImageRejected(reason, f"the TIFF has {len(pages)} pages, expected one")
    page = pages[0]
    for offsets, lengths in ((273, 279), (324, 325)):  # strips, tiles
        for start, length in zip(page.get(offsets, ()), page.get(lengths, ()), strict=False):
            if start + length > len(data):
                ends_early("TIFF ends before its last strip")
    if not (page.get(257) and page.get(256)):
        raise ImageRejected(Reason.UNREADABLE, "the TIFF does not say its size")
    return Size(page[257][0], page[256][0], white_is_zero=page.get(262) == (0,))
