"""Write raster files byte by byte: TIFF in all its shapes, the chunks of a PNG."""

import struct
import zlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

NONE, LZW, DEFLATE = 1, 5, 8
ORIENTATION, UPRIGHT, TURNED = 0x0112, 1, 6
"""
Values of the orientation tag: 6 is turned by a quarter clockwise for viewing (TIFF 6.0, EXIF 2.3).
"""


def tiff(  # noqa: PLR0913 - each is one way in which TIFFs differ
    pixels: NDArray[Any],
    *,
    big: bool = False,
    order: Literal["<", ">"] = "<",
    tile: int = 0,
    packed: bool = False,
    turned: int = UPRIGHT,
) -> bytes:
    """Write a TIFF: classic or big, either byte order, one strip or tiles, plain or deflated."""
    pieces = [
        piece.astype(piece.dtype.newbyteorder(order)).tobytes() for piece in tiles(pixels, tile)
    ]
    pieces = [zlib.compress(piece) for piece in pieces] if packed else pieces
    start = 16 if big else 8
    offsets = [start + sum(map(len, pieces[:at])) for at in range(len(pieces))]
    body = b"".join(pieces)
    rows, columns = pixels.shape
    tags: dict[int, list[int]] = {
        256: [columns],
        257: [rows],
        258: [pixels.itemsize * 8],
        259: [DEFLATE if packed else NONE],
        262: [1],
    }
    tags |= {274: [turned], 277: [1]}
    counts = [len(piece) for piece in pieces]
    tags |= (
        {322: [tile], 323: [tile], 324: offsets, 325: counts}
        if tile
        else {273: offsets, 278: [rows], 279: counts}
    )
    magic = b"II" if order == "<" else b"MM"
    head = struct.pack(
        order + ("HHHQ" if big else "HI"), *((43, 8, 0) if big else (42,)), start + len(body)
    )
    return magic + head + body + directory(tags, start + len(body), order=order, big=big)


def tiles(pixels: NDArray[Any], side: int) -> Iterator[NDArray[Any]]:
    if not side:
        yield pixels
        return
    rows, columns = (-(-length // side) * side for length in pixels.shape)
    whole = np.zeros((rows, columns), pixels.dtype)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    for row in range(0, rows, side):
        for column in range(0, columns, side):
            yield whole[row : row + side, column : column + side]


def directory(tags: dict[int, list[int]], at: int, *, order: str, big: bool) -> bytes:
    wide = "Q" if big else "I"
    room = struct.calcsize("=" + wide)
    behind = at + (8 + 20 * len(tags) + 8 if big else 2 + 12 * len(tags) + 4)
    entries, extra = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) > room:
            value, extra = struct.pack(order + wide, behind + len(extra)), extra + packed
        else:
            value = packed.ljust(room, b"\0")
        entries += struct.pack(order + "HH" + wide, tag, 4, len(values)) + value
    return struct.pack(order + ("Q" if big else "H"), len(tags)) + entries + b"\0" * room + extra


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
