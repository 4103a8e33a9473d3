"""
What a raster file's own bytes say of its size and completeness, read before any codec sees them.
"""

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
    """Of a JPEG's samples."""
    channels: int = 1
    """Of a JPEG or JPEG 2000."""


Header: TypeAlias = Callable[[bytes], Size]
"""
Reads a size. Raises ImageRejected, or struct.error or IndexError where the file ends inside its
header.
"""

BIG_TIFF: Final = 43
"""The version a BigTIFF has."""
TIFF_TAGS: Final = frozenset({254, 256, 257, 262, 273, 279, 324, 325})
"""
Those that are looked at: kind of page, size, which number is white, strips, tiles. Others may be
long and many.
"""
TIFF_PREVIEW: Final = 1
"""Bit of NewSubfileType: a reduced copy of another page."""
JPEG_BITS: Final = 8
JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers that start a frame header; 0xF7 is JPEG-LS's."""
WEBP_ANIMATED: Final = 2
OS2_HEADER_BYTES: Final = 12
"""Of the BMP header of 1988."""
NETPBM_CHANNELS: Final[Mapping[bytes, int]] = {b"P2": 1, b"P3": 3, b"P5": 1, b"P6": 3}
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
            raise ImageRejected(
                Reason.UNREADABLE, "a PNG chunk fails its checksum, so the file is damaged"
            )
        at = end + 4
    columns, rows = struct.unpack_from(">II", data, 16)
    return Size(rows, columns)


def jpeg(data: bytes) -> Size:
    """Size of a JPEG file of 8 bits, in one of the kinds that browsers show."""
    size = jpeg_frame(data)
    if size.bits != JPEG_BITS:
        raise ImageRejected(
            Reason.UNSUPPORTED_FORMAT, f"the JPEG has {size.bits} bits per pixel, expected 8"
        )
    return size


def jpeg_frame(data: bytes) -> Size:
    """
    Size of a JPEG or JPEG-LS that has an end mark: decoders fill what is missing with grey and say
    nothing.
    """
    at = 2
    while data[at + 1] not in JPEG_FRAMES:
        if data[at] != 0xFF:  # noqa: PLR2004 - every JPEG marker starts with this byte
            raise ImageRejected(Reason.UNREADABLE, "the JPEG's markers are damaged")
        # fill byte
        # fill byte
        at += 1 if data[at + 1] == 0xFF else 2 + int(struct.unpack_from(">H", data, at + 2)[0])  # noqa: PLR2004
    bits, rows, columns, channels = struct.unpack_from(">BHHB", data, at + 4)
    # Inside the scan 0xFF is always followed by 0x00 or a restart mark; an embedded thumbnail
    # stands before the last scan.
    if data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda"):  # or neither
        ends_early("JPEG has no end mark")
    return Size(rows, columns, bits=bits, channels=channels)


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
    bytes_per_sample = 1 if white < 256 else 2  # noqa: PLR2004 - Netpbm's rule
    channels = NETPBM_CHANNELS[data[:2]]
    if data[:2] in {b"P5", b"P6"} and end + 1 + rows * columns * channels * bytes_per_sample > len(
        data
    ):
        ends_early("PGM ends before its last pixel")
    return Size(rows, columns, channels=channels)


def jpeg2000(data: bytes) -> Size:
    """Size of a JPEG 2000 file or bare code stream that has an end mark."""
    size = code_stream(data)
    if (
        b"pclr" in data[: data.find(CODE_STREAM)]
    ):  # ISO/IEC 15444-1, I.5.3.4: its numbers are places in a table
        raise ImageRejected(Reason.COLOUR, "the JPEG 2000 file has a palette, expected grey")
    if data.rfind(b"\xff\xd9") <= data.find(
        b"\xff\x93", data.find(CODE_STREAM)
    ):  # or neither; no such pair can occur inside the packets
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
        return Size(
            int.from_bytes(data[27:30], "little") + 1, int.from_bytes(data[24:27], "little") + 1
        )
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return Size((packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1)
    columns, rows = struct.unpack_from("<HH", data, 26)
    return Size(rows & 0x3FFF, columns & 0x3FFF)


class _Tiff(NamedTuple):
    """How a TIFF writes its numbers: classic, or BigTIFF with offsets of 64 bits."""

    order: str
    start: int
    """Where the offset of the first page stands."""
    offset: str
    entries: str
    """How many entries a page has."""
    entry_bytes: int

    def read(self, code: str, data: bytes, at: int) -> int:
        return int(struct.unpack_from(self.order + code, data, at)[0])

    def pages(self, data: bytes) -> Iterator[dict[int, tuple[int, ...]]]:
        at, seen = self.read(self.offset, data, self.start), set[int]()
        while at and at not in seen:
            seen.add(at)
            first = at + struct.calcsize("=" + self.entries)
            end = first + self.entry_bytes * self.read(self.entries, data, at)
            if end > len(data):
                ends_early("TIFF ends inside a page's directory")
            page: dict[int, tuple[int, ...]] = {}
            for entry in range(first, end, self.entry_bytes):
                if (tag := self.read("H", data, entry)) in TIFF_TAGS and tag not in page:
                    page[tag] = self.numbers(data, entry)
            yield page
            at = self.read(self.offset, data, end)

    def numbers(self, data: bytes, entry: int) -> tuple[int, ...]:
        """
        Values of one directory entry (BYTE, SHORT, LONG or LONG8), from the entry or from where it
        points.
        """
        kind, count = self.read("H", data, entry + 2), self.read(self.offset, data, entry + 4)
        room = struct.calcsize("=" + self.offset)
        code, width = {1: ("B", 1), 3: ("H", 2), 4: ("I", 4), 16: ("Q", 8)}.get(kind, ("", 0))
        if not width or count * width > len(data):
            return ()
        value = entry + 4 + room
        where = value if count * width <= room else self.read(self.offset, data, value)
        return struct.unpack_from(f"{self.order}{count}{code}", data, where)


def _tiff_kind(data: bytes) -> _Tiff:
    order = "<" if data[:2] == b"II" else ">"
    (version,) = struct.unpack_from(order + "H", data, 2)
    return _Tiff(order, 8, "Q", "Q", 20) if version == BIG_TIFF else _Tiff(order, 4, "I", "H", 12)


def tiff(data: bytes) -> Size:
    """Size of a TIFF of one page (previews aside) whose strips or tiles are all there."""
    pages = [
        page
        for page in _tiff_kind(data).pages(data)
        if not any(kind & TIFF_PREVIEW for kind in page.get(254, ()))
    ]
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
