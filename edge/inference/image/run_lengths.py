"""Run lengths (DICOM PS3.5, Annex G) without the padding that some writers put behind them."""

import struct
from itertools import pairwise
from typing import Final

from edge.errors import ImageRejected, Reason

HEADER: Final = struct.Struct("<16I")
NOTHING: Final = 128
"""A control byte that stands for no bytes; smaller ones copy, larger ones repeat."""


class Short(Exception):
    """A frame has less pixels than its header says."""


def trimmed(frame: bytes, count: int) -> bytes:
    """
    Write a frame again, each segment without zeros behind its last run.

    Args:
        frame: whose header was checked.
        count: the pixels of the picture, a byte of each in a segment.

    Raises:
        Short: a segment holds fewer bytes.
        ImageRejected: a segment holds more.
    """
    segments, *offsets = HEADER.unpack_from(frame)
    ends = [*offsets[:segments], len(frame)]
    parts = [_trimmed(frame[start:end], count) for start, end in pairwise(ends)]
    starts = [HEADER.size + sum(map(len, parts[:at])) for at in range(segments)]
    return HEADER.pack(segments, *starts, *[0] * (15 - segments)) + b"".join(parts)


def _trimmed(segment: bytes, count: int) -> bytes:
    at = made = 0
    while made < count and at < len(segment):
        control = segment[at]
        made += 0 if control == NOTHING else min(control + 1, 257 - control)
        at += 1 if control == NOTHING else control + 2 if control < NOTHING else 2
    if made < count:
        raise Short
    if made > count or any(segment[at:]):
        detail = f"a segment of the run lengths has more than the header's {count} pixels"
        raise ImageRejected(Reason.UNREADABLE, detail)
    return segment[:at]
