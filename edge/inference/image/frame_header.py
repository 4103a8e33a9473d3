"""The header of a compressed frame, read before any decoder: codec, size, bits and sign."""

import struct
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

from edge.errors import ImageRejected, Reason
from edge.inference.image import jpeg_headers
from edge.inference.image.frame import Frame, FrameHeader

RLE_HEADER: Final = struct.Struct("<16I")
RLE_SEGMENTS: Final = 15
BOXES: Final = b"\0\0\0\x0cjP  "
HIGH_THROUGHPUT: Final = b"\xff\x50"
"""
The marker of extended capabilities, which stands behind SIZ in HTJ2K alone (ISO/IEC 15444-15).
"""
PROCESSES: Final[Mapping[int, str]] = {
    0xC0: "jpeg",
    0xC1: "jpeg",
    0xC2: "jpeg",
    0xC3: "jpeg lossless",
    0xF7: "jpeg-ls",
}


def read(frame: Frame, sample_bytes: int, said: str) -> FrameHeader:
    """
    Read the header of a frame in any codec.

    Args:
        frame: as it stands in the file.
        sample_bytes: bytes that DICOM's header allocates to a pixel.
        said: the transfer syntax, for the reason of a rejection.

    Raises:
        ImageRejected: it is none that is known, or ends early.
    """
    try:
        if frame.data.startswith(b"\xff\xd8\xff"):
            return _jpeg(frame)
        if frame.data.startswith((jpeg_headers.CODE_STREAM, BOXES)):
            return _jpeg_2000(frame)
    except (struct.error, IndexError):
        raise frame.ending from None
    _check_rle(frame, sample_bytes, said)
    return FrameHeader("rle")


def _jpeg(frame: Frame) -> FrameHeader:
    size = jpeg_headers.jpeg_frame(frame.data)
    if not jpeg_headers.jpeg_is_whole(frame.data):
        raise frame.ending
    if size.process not in PROCESSES:
        detail = (
            f"the frame is a JPEG of the process with marker FF{size.process:02X}, expected "
            "baseline, extended, progressive, lossless or JPEG-LS"
        )
        raise ImageRejected(Reason.UNSUPPORTED_TRANSFER_SYNTAX, detail)
    kind = PROCESSES[size.process]
    return FrameHeader(kind, size.rows, size.columns, size.channels, size.bits)


def _jpeg_2000(frame: Frame) -> FrameHeader:
    if frame.data.find(jpeg_headers.CODE_STREAM) < 0:
        raise frame.ending
    size = jpeg_headers.code_stream(frame.data)
    cut = frame.ending.reason is Reason.TRUNCATED  # else OpenJPEG is the judge of a missing mark
    if cut and not jpeg_headers.code_stream_is_whole(frame.data):
        raise frame.ending
    behind = frame.data.find(jpeg_headers.CODE_STREAM) + 4 + 38 + 3 * size.channels
    high = frame.data[behind : behind + 2] == HIGH_THROUGHPUT
    kind = "htj2k" if high else "jpeg 2000"
    return FrameHeader(kind, size.rows, size.columns, size.channels, size.bits, size.signed)


def _check_rle(frame: Frame, sample_bytes: int, said: str) -> None:
    """
    Check run lengths: one segment a byte of a pixel, one after the other (PS3.5, G.5).

    imagecodecs crashes where they lie outside the frame.
    """
    if len(frame.data) < RLE_HEADER.size:
        raise frame.ending
    count, *offsets = RLE_HEADER.unpack_from(frame.data)
    starts = offsets[: min(count, RLE_SEGMENTS)]
    in_order = all(start < end for start, end in pairwise(starts))
    if count != sample_bytes or starts[0] < RLE_HEADER.size or not in_order:
        detail = (
            f"the transfer syntax is {said}, but the frame starts neither as JPEG nor as JPEG 2000 "
            f"nor as run lengths of {sample_bytes} byte(s) a pixel do"
        )
        raise ImageRejected(Reason.UNREADABLE, detail)
    if starts[-1] >= len(frame.data):
        raise frame.ending
