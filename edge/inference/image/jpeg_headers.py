"""Headers of JPEG, JPEG-LS and JPEG 2000: size, bits, sign and kind, and if the end is there."""

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from edge.errors import ImageRejected, Reason
from edge.inference.image.raster_headers import Size, check_pictures, ends_early

JPEG_BITS: Final = 8
JPEG_FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers that start a frame header; 0xF7 is JPEG-LS's."""
JPEG_LS: Final = 0xF7
JPEG_SCAN: Final = 0xDA
JPEG_APP2: Final = 0xE2
JPEG_SEGMENT: Final = 0x10001
"""Upper limit of a segment's length, with its marker."""
MPF_PICTURES: Final = 0xB001
"""NumberOfImages of a multi-picture file."""
CODE_STREAM: Final = b"\xff\x4f\xff\x51"
"""First bytes of a JPEG 2000 code stream, bare or inside its boxes."""


def jpeg(data: bytes) -> Size:
    """Size of a JPEG file of 8 bits, in one of the kinds that browsers show."""
    size = jpeg_frame(data)
    if not jpeg_is_whole(data):
        ends_early("JPEG has no end mark")
    if size.process == JPEG_LS:
        detail = "the picture is a JPEG-LS, expected JPEG; as DICOM it is read"
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
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
    """Walk the segments before the first scan: offset, and the marker's second byte."""
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
    check_pictures("JPEG file", pictures)


def _pictures(segment: bytes) -> int:
    """Count the pictures that an APP2 segment announces; 1 if it is about something else."""
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


def jpeg2000(data: bytes) -> Size:
    """Size of a JPEG 2000 file or bare code stream that has an end mark."""
    size = code_stream(data)
    # ISO/IEC 15444-1, I.5.3.4: the numbers are places in a table
    if b"pclr" in data[: data.find(CODE_STREAM)]:
        raise ImageRejected(Reason.COLOUR, "the JPEG 2000 file has a palette, expected grey")
    if not code_stream_is_whole(data):
        ends_early("JPEG 2000 code stream has no end mark")
    first = data.find(CODE_STREAM)
    second = data.find(CODE_STREAM, data.find(b"\xff\xd9", first + len(CODE_STREAM)))
    check_pictures("JPEG 2000 file", 1 + (second > first))
    if size.bits < JPEG_BITS:
        detail = f"the JPEG 2000 has {size.bits} bits a sample, expected 8 to 16"
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    if size.signed or size.channels not in {1, 3}:
        kind = "signed" if size.signed else "unsigned"
        detail = (
            f"the JPEG 2000 has {size.channels} channel(s) of {kind} numbers, "
            "expected 1 or 3 of unsigned ones"
        )
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    return size


def code_stream_is_whole(data: bytes) -> bool:
    """Tell if a JPEG 2000 has an end mark; no such bytes can occur inside its packets."""
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
