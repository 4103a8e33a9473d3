"""
TIFFs that OpenCV misreads: samples in planes, and alpha, which it blends or cuts to 8 bits.

OpenCV does the decompression: it is handed the same bytes with another directory, in which each
plane is a grey picture, or in which a pixel's samples are neighbours in a grey picture that is
wider.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ImageRejected, Reason
from edge.inference.image import tiff
from edge.inference.image.mammogram import Pixels
from edge.inference.image.tiff import Page

APART: Final = 2
"""PlanarConfiguration: one plane after the other."""
DIFFERENCES: Final = 2
"""Predictor: each sample is the difference from the one to its left."""
GREY_OR_RGB: Final = frozenset({0, 1, 2})
JPEG: Final = frozenset({6, 7})
ALPHA: Final = frozenset({1, 2})
COLOURS: Final = 3
MOST_SAMPLES: Final = 5
WHOLE_BITS: Final = frozenset({8, 16})
BLACK_IS_ZERO: Final = 1
TURNS: Final = {2: (0, 1), 3: (2, 0), 4: (2, 1), 5: (3, 1), 6: (3, 0), 7: (1, 1), 8: (1, 0)}
"""
Orientation -> quarter turns against the clock, and 1 for a flip from left to right after them.
"""


class Samples(NamedTuple):
    """A picture's samples as they are stored, upright, bright = dense."""

    grey: Pixels
    """Shape (rows, columns) or (rows, columns, 3)."""
    alpha: Pixels | None
    """Shape (rows, columns), 0 = transparent."""


def read(data: bytes) -> Samples | None:
    """
    Read a TIFF in planes or with more samples; None for others, which OpenCV reads.

    Raises:
        ImageRejected: it is damaged, or combines such samples with something else that is rare.
    """
    page = tiff.page_of(data)
    samples, planar = page.one(tiff.SAMPLES), page.one(tiff.PLANAR)
    colours = COLOURS if page.one(tiff.PHOTOMETRIC) == COLOURS - 1 else 1
    if samples == 1 or (samples == colours and planar != APART):
        return None
    if page.one(tiff.PHOTOMETRIC) not in GREY_OR_RGB:
        if planar == APART:
            _refuse(page)
        return None
    rare = page.one(tiff.COMPRESSION) in JPEG or page.one(tiff.BITS) not in WHOLE_BITS
    if rare or not colours <= samples <= MOST_SAMPLES:
        _refuse(page)
    channels = _apart(data, page) if planar == APART else _together(data, page)
    return _sorted(channels, page, colours)


def _refuse(page: Page) -> None:
    detail = (
        f"the TIFF has {page.one(tiff.SAMPLES)} samples of {page.one(tiff.BITS)} bits a pixel, "
        f"photometric {page.one(tiff.PHOTOMETRIC)}, compression {page.one(tiff.COMPRESSION)}, "
        f"planar configuration {page.one(tiff.PLANAR)}; "
        "expected grey, or RGB without planes and alpha"
    )
    raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)


def _sorted(channels: list[Pixels], page: Page, colours: int) -> Samples:
    """Colours and alpha, turned as the picture is to be seen."""
    channels = [_upright(channel, page.one(tiff.ORIENTATION)) for channel in channels]
    grey = channels[0] if colours == 1 else np.dstack(channels[:colours])
    if page.one(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO:
        grey = np.bitwise_not(grey)
    kinds = zip(channels[colours:], page.values.get(tiff.EXTRA, ()), strict=False)
    return Samples(grey, next((channel for channel, kind in kinds if kind in ALPHA), None))


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    turns, flip = TURNS.get(orientation, (0, 0))
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if flip else turned)


def _apart(data: bytes, page: Page) -> list[Pixels]:
    """Each plane's pixels."""
    samples = page.one(tiff.SAMPLES)
    offsets, lengths = _pieces(page)
    pieces = len(page.values.get(offsets, ())) // samples
    found = []
    for plane in range(samples):
        part = slice(plane * pieces, (plane + 1) * pieces)
        changed = {tag: page.values.get(tag, ())[part] for tag in (offsets, lengths)}
        found.append(_decoded(data, page, changed))
    return found


def _together(data: bytes, page: Page) -> list[Pixels]:
    """Each channel's pixels, of a pixel's samples side by side."""
    samples = page.one(tiff.SAMPLES)
    changed = {
        tag: (page.one(tag) * samples,)
        for tag in (tiff.COLUMNS, tiff.TILE_COLUMNS)
        if page.one(tag)
    }
    wide = _decoded(data, page, changed | {tiff.PREDICTOR: (1,)})
    pixels = wide.reshape(wide.shape[0], -1, samples)
    if page.one(tiff.PREDICTOR) == DIFFERENCES:
        pixels = _summed(pixels, page.one(tiff.TILE_COLUMNS))
    return [np.ascontiguousarray(pixels[:, :, channel]) for channel in range(samples)]


def _summed(pixels: NDArray[Any], tile: int) -> Pixels:
    """Samples from their differences, which begin anew in each tile."""
    width = tile or pixels.shape[1]
    parts = [
        np.cumsum(pixels[:, left : left + width], axis=1, dtype=pixels.dtype)
        for left in range(0, pixels.shape[1], width)
    ]
    return np.concatenate(parts, axis=1)


def _pieces(page: Page) -> tuple[int, int]:
    tiled = tiff.TILES in page.values
    return (tiff.TILES, tiff.TILE_BYTES) if tiled else (tiff.STRIPS, tiff.STRIP_BYTES)


def _decoded(data: bytes, page: Page, changed: Mapping[int, tuple[int, ...]]) -> Pixels:
    """Decode as a grey picture of these values, and compare its shape and depth with them."""
    values = {tag: value for tag, value in page.values.items() if tag not in NOT_OF_ONE_GREY}
    values |= {tiff.PHOTOMETRIC: (BLACK_IS_ZERO,), tiff.BITS: (page.one(tiff.BITS),), **changed}
    whole = np.frombuffer(_with_directory(data, values), np.uint8)
    try:
        pixels = cv2.imdecode(whole, cv2.IMREAD_ANYDEPTH)
    except cv2.error:
        pixels = None
    expected = (page.one(tiff.ROWS), values[tiff.COLUMNS][0]), page.one(tiff.BITS) // 8
    if pixels is None:
        tiff.check_usual(data)
    if pixels is None or (pixels.shape, pixels.itemsize) != expected:
        raise ImageRejected(Reason.UNREADABLE, "the TIFF is damaged or of an unknown kind")
    return cast("Pixels", pixels)


NOT_OF_ONE_GREY: Final = frozenset(
    {tiff.KIND, tiff.SAMPLES, tiff.PLANAR, tiff.EXTRA, tiff.ORIENTATION, tiff.FORMAT}
)


def _with_directory(data: bytes, values: Mapping[int, tuple[int, ...]]) -> bytes:
    """The same file with another directory behind its end."""
    layout = tiff.layout_of(data)
    at = len(data) + len(data) % 2
    wide, room = layout.offset, struct.calcsize("=" + layout.offset)
    count = struct.calcsize("=" + layout.entries)
    behind = at + count + layout.entry_bytes * len(values) + room
    entries, extra = b"", b""
    for tag, numbers in sorted(values.items()):
        code, kind = ("Q", 16) if wide == "Q" else ("I", 4)
        packed = struct.pack(f"{layout.order}{len(numbers)}{code}", *numbers)
        if len(packed) > room:
            packed, extra = struct.pack(layout.order + wide, behind + len(extra)), extra + packed
        head = struct.pack(f"{layout.order}HH{wide}", tag, kind, len(numbers))
        entries += head + packed.ljust(room, b"\0")
    first = struct.pack(layout.order + wide, at)
    start = data[: layout.start] + first + data[layout.start + room :]
    number = struct.pack(layout.order + layout.entries, len(values))
    return start.ljust(at, b"\0") + number + entries + bytes(room) + extra
