"""Raster files -> Mammogram, through OpenCV."""

import struct
from collections.abc import Callable
from typing import Final, cast

import cv2
import numpy as np

from edge.domain import ImageFacts
from edge.errors import ImageRejected, Reason
from edge.inference.image import Buffer, Limits, Mammogram, Pixels, bits, check_size, raster_headers

# OpenCV 4 and 5 name it differently. What is wrong with a file is said once, in its rejection.
_set_log_level: Callable[[int], object] = (
    getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
)
_set_log_level(0)

MAGIC: Final[tuple[tuple[bytes, str, raster_headers.Header], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "png", raster_headers.png),
    (b"\xff\xd8\xff", "jpeg", raster_headers.jpeg),
    (b"II*\0", "tiff", raster_headers.tiff),
    (b"MM\0*", "tiff", raster_headers.tiff),
    (b"II+\0", "tiff", raster_headers.tiff),
    (b"MM\0+", "tiff", raster_headers.tiff),
    *((magic, "pgm", raster_headers.netpbm) for magic in raster_headers.NETPBM_CHANNELS),
    (b"BM", "bmp", raster_headers.bmp),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000", raster_headers.jpeg2000),
    (raster_headers.CODE_STREAM, "jpeg2000", raster_headers.jpeg2000),
    (b"RIFF", "webp", raster_headers.webp),
)
AS_STORED: Final = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
"""
All bits, grey where it is grey, without alpha, upright as viewers show it (WebP from OpenCV 5 on).
"""
COLOURED: Final = 1 / 16
"""
A pixel is coloured when its channels differ by more than this share of white (JPEG's rounding stays
below).
"""
MAX_COLOURED_SHARE: Final = 0.01
"""A grey picture may carry a coloured marker of at most this share of its area."""


def find_format(data: Buffer) -> tuple[str, raster_headers.Header] | None:
    """Name and header reader of a raster file, by its first bytes; None for anything else."""
    for magic, name, header in MAGIC:
        if (
            data[: len(magic)] == magic
            and (name != "webp" or data[8:12] == b"WEBP")
            and (name != "pgm" or data[2:3].isspace())
        ):
            return name, header
    return None


def decode(data: Buffer, limits: Limits) -> Mammogram | None:
    """
    Decode a PNG, JPEG, TIFF, PGM, PPM, BMP, JPEG 2000 or WebP file.

    Returns:
        Pixels of shape (rows, columns), uint8 or uint16; alpha is dropped, EXIF's or TIFF's
        orientation applied. None: it is none of these.

    Raises:
        ImageRejected: it is one of these, but damaged, too large, in colour or of another pixel
            type.
    """
    if not (found := find_format(data)):
        return None
    name, header = found
    data = data[:]  # of a mapped file, its bytes
    try:
        size = header(data)
    except (struct.error, IndexError, OverflowError):
        raster_headers.ends_early(f"{name.upper()} ends inside its header")
    check_size(size.rows, size.columns, limits)
    pixels = _grey(_decode(data, name))
    if size.white_is_zero and pixels.dtype == np.uint16:  # OpenCV turns only 8-bit ones round
        pixels = np.bitwise_not(pixels)
    rows, columns = pixels.shape
    facts = ImageFacts(rows, columns, bits=bits(pixels), photometric="MONOCHROME2", format=name)
    return Mammogram(pixels, facts)


def _decode(data: bytes, name: str) -> Pixels:
    if (
        name == "jpeg2000"
    ):  # without its boxes: where they contradict the code stream, OpenCV 4.11 crashes
        data = data[data.find(raster_headers.CODE_STREAM) :]
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), AS_STORED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise ImageRejected(
            Reason.UNREADABLE, f"the {name.upper()} is damaged or of an unknown kind"
        )
    if pixels.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise ImageRejected(
            Reason.UNSUPPORTED_FORMAT,
            f"the {name.upper()}'s pixels are {pixels.dtype}, expected 8 or 16-bit integers",
        )
    return cast("Pixels", pixels)


def _grey(pixels: Pixels) -> Pixels:
    if pixels.ndim == 2:  # noqa: PLR2004 - rows and columns only
        return pixels
    sample = pixels[::4, ::4, :3].astype(np.int32)
    spread = sample.max(axis=2) - sample.min(axis=2)
    if np.mean(spread > COLOURED * np.iinfo(pixels.dtype).max) > MAX_COLOURED_SHARE:
        raise ImageRejected(Reason.COLOUR, "the picture is in colour, expected grey")
    return np.ascontiguousarray(pixels[:, :, min(1, pixels.shape[2] - 1)])
