"""The model's map as a small PNG, drawn from the numbers of a published result."""

import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

NOTHING: Final = -19.9
"""The logit below which a cell lies beside the breast and says nothing."""
STOPS: Final = (
    (0.0, (38, 50, 64)),
    (0.15, (58, 84, 104)),
    (0.35, (150, 108, 78)),
    (0.6, (230, 142, 60)),
    (0.85, (250, 204, 90)),
    (1.0, (255, 246, 214)),
)
"""Colours (red, green, blue) by the sigmoid of a cell's logit."""
LEVELS: Final = 255


def png(values: Sequence[Sequence[float]]) -> bytes:
    """
    Draw a map, one pixel a cell; cells beside the breast are transparent.

    Args:
        values: logits, rows from top to bottom, all of one length.
    """
    rows, columns = len(values), len(values[0])
    head = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)  # 8 bits, palette
    pixels = b"".join(b"\0" + bytes(map(_index, row)) for row in values)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", head),
            _chunk(b"PLTE", PALETTE),
            _chunk(b"tRNS", b"\0"),
            _chunk(b"IDAT", zlib.compress(pixels, 6)),
            _chunk(b"IEND", b""),
        )
    )


def _index(logit: float) -> int:
    """Return the place in the palette: 0 for nothing, else by the cell's probability."""
    if logit < NOTHING:
        return 0
    return 1 + round((LEVELS - 1) / (1 + math.exp(-max(-30.0, min(30.0, logit)))))


def _palette() -> Iterator[int]:
    yield from (0, 0, 0)
    for level in range(LEVELS):
        yield from _colour(level / (LEVELS - 1))


def _colour(share: float) -> tuple[int, ...]:
    for (low, dark), (high, bright) in pairwise(STOPS):
        if share <= high:
            part = (share - low) / (high - low)
            return tuple(
                round(one + part * (other - one)) for one, other in zip(dark, bright, strict=True)
            )
    return STOPS[-1][1]


PALETTE: Final = bytes(_palette())


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
