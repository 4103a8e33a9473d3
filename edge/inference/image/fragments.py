"""The one compressed frame of a DICOM file, whatever stands around and between its fragments."""

import struct
from typing import Final

from edge.errors import ImageRejected, Reason
from edge.inference.image.frame import Buffer, Frame
from edge.inference.image.part10 import UNDEFINED, File, PixelData

ITEM: Final = 0xFFFEE000
ITEM_TAG: Final = b"\xfe\xff\0\xe0"
DELIMITER: Final = 0xFFFEE0DD
FRAME_STARTS: Final = (
    b"\xff\xd8\xff",
    b"\xff\x4f\xff\x51",
    b"\0\0\0\x0cjP  ",
    *(struct.pack("<II", segments, 64) for segments in (1, 2)),
)
"""First bytes of frames in JPEG and JPEG-LS, JPEG 2000 (bare or in boxes) and run lengths."""


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
