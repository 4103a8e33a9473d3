"""
TIFFs written piece by piece: samples side by side or in planes, with alpha, in tiles, packed in
all ways.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.raster_files import directory

NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773
TOGETHER, APART = 1, 2
STRIP_ROWS: Final = 40


@dataclass(frozen=True)
class Kind:
    """How a TIFF is written; by default as plainly as possible."""

    planar: int = TOGETHER
    order: Literal["<", ">"] = "<"
    tile: int = 0
    compression: int = NONE
    differences: bool = False
    """Predictor 2."""
    photometric: int = 1
    extra: int | None = None
    """What ExtraSamples says of the last sample: 1 and 2 are alpha."""
    orientation: int = 1
    big: bool = False


def tiff(pixels: NDArray[Any], kind: Kind) -> bytes:
    """A TIFF of these pixels, shape (rows, columns, samples)."""
    rows, columns, samples = pixels.shape
    pieces = [_packed(piece, kind) for piece in _pieces(pixels, kind)]
    start = 16 if kind.big else 8
    offsets = [start + sum(map(len, pieces[:at])) for at in range(len(pieces))]
    tags = {256: [columns], 257: [rows], 258: [pixels.itemsize * 8] * samples}
    tags |= {259: [kind.compression], 262: [kind.photometric], 274: [kind.orientation]}
    tags |= {277: [samples], 284: [kind.planar], 317: [1 + kind.differences]}
    tags |= {} if kind.extra is None else {338: [kind.extra]}
    counts = [len(piece) for piece in pieces]
    strips = {273: offsets, 278: [STRIP_ROWS], 279: counts}
    tiles = {322: [kind.tile], 323: [kind.tile], 324: offsets, 325: counts}
    body = b"".join(pieces)
    at = start + len(body)
    versions = (43, 8, 0) if kind.big else (42,)
    head = struct.pack(kind.order + ("HHHQ" if kind.big else "HI"), *versions, at)
    tags |= tiles if kind.tile else strips
    pages = directory(tags, at, order=kind.order, big=kind.big)
    return (b"II" if kind.order == "<" else b"MM") + head + body + pages


def _pieces(pixels: NDArray[Any], kind: Kind) -> Iterator[NDArray[Any]]:
    """Strips or tiles, plane by plane."""
    samples = pixels.shape[2]
    planes = np.split(pixels, samples, axis=2) if kind.planar == APART else [pixels]
    for plane in planes:
        if not kind.tile:
            yield from (plane[row : row + STRIP_ROWS] for row in range(0, len(plane), STRIP_ROWS))
            continue
        room = [(0, -length % kind.tile) for length in plane.shape[:2]]
        whole = np.pad(plane, [*room, (0, 0)])
        for row in range(0, whole.shape[0], kind.tile):
            for column in range(0, whole.shape[1], kind.tile):
                yield whole[row : row + kind.tile, column : column + kind.tile]


def _packed(piece: NDArray[Any], kind: Kind) -> bytes:
    if kind.differences:
        piece = np.diff(piece, axis=1, prepend=piece.dtype.type(0))
    raw = piece.astype(piece.dtype.newbyteorder(kind.order)).tobytes()
    match kind.compression:
        case 8:
            return zlib.compress(raw)
        case 5:
            codecs: Any = pytest.importorskip("imagecodecs", reason="imagecodecs is missing")
            return bytes(codecs.lzw_encode(raw))
        case 32773:
            rows = np.frombuffer(raw, np.uint8).reshape(piece.shape[0], -1)
            return b"".join(map(_literal, rows))
    return raw


def _literal(row: NDArray[np.uint8]) -> bytes:
    """PackBits without repetitions."""
    parts = [row[at : at + 128].tobytes() for at in range(0, row.size, 128)]
    return b"".join(bytes([len(part) - 1]) + part for part in parts)
