"""Raster files -> Mammogram, through OpenCV."""

import struct
from collections.abc import Callable
from typing import Final, cast

import cv2
import numpy as np

from edge.domain import ImageFacts
from edge.errors import ImageRejected, Reason
from edge.inference.image import jpeg_headers, raster_headers, tiff, tiff_samples
from edge.inference.image.frame import Buffer
from edge.inference.image.mammogram import Limits, Mammogram, Pixels, bits, check_size

# OpenCV 4 and 5 name it differently. What is wrong with a file is said once, in its rejection.
_set_log_level: Callable[[int], object] = (
    getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel
)
_set_log_level(0)

MAGIC: Final[tuple[tuple[bytes, str, raster_headers.Header], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "png", raster_headers.png),
    (b"\xff\xd8\xff", "jpeg", jpeg_headers.jpeg),
    (b"II*\0", "tiff", tiff.size),
    (b"MM\0*", "tiff", tiff.size),
    (b"II+\0", "tiff", tiff.size),
    (b"MM\0+", "tiff", tiff.size),
    *((magic, "pgm", raster_headers.netpbm) for magic in raster_headers.NETPBM_CHANNELS),
    (b"BM", "bmp", raster_headers.bmp),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "jpeg2000", jpeg_headers.jpeg2000),
    (jpeg_headers.CODE_STREAM, "jpeg2000", jpeg_headers.jpeg2000),
    (b"RIFF", "webp", raster_headers.webp),
)
AS_STORED: Final = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
"""
All bits, grey where it is grey, without alpha, upright as viewers show it (WebP from OpenCV 5 on).
"""
CHANNELS: Final = 3
CHANNELS_WITH_ALPHA: Final = 4
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
        Pixels of shape (rows, columns), uint8 or uint16, turned by EXIF's or TIFF's orientation;
        transparent ones are black, others not blended. None: it is none of these.

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
    pixels = _grey(_read(data, name, size))
    rows, columns = pixels.shape
    facts = ImageFacts(rows, columns, bits=bits(pixels), photometric="MONOCHROME2", format=name)
    return Mammogram(pixels, facts)


def _read(data: bytes, name: str, size: raster_headers.Size) -> Pixels:
    """The picture's colours, black where it is transparent."""
    if name == "tiff" and (samples := _samples(data)):
        return _without_transparent(samples.grey, samples.alpha)
    pixels = _decode(data, name)
    _compare(pixels, name, size)
    if size.white_is_zero and pixels.dtype == np.uint16:  # OpenCV turns only 8-bit ones round
        pixels = np.bitwise_not(pixels)
    return _without_transparent(pixels, _alpha(data, name, pixels))


def _samples(data: bytes) -> tiff_samples.Samples | None:
    """The samples of a TIFF that OpenCV misreads."""
    try:
        return tiff_samples.read(data)
    except (struct.error, ValueError):  # its directory makes no sense
        raise ImageRejected(Reason.UNREADABLE, "the TIFF's directory is damaged") from None


def _decode(data: bytes, name: str) -> Pixels:
    if name == "jpeg2000":  # OpenCV 4.11 crashes where the boxes contradict the code stream
        data = data[data.find(jpeg_headers.CODE_STREAM) :]
    if name == "tiff":
        data = tiff.with_its_page_first(data)
    if name == "pgm":  # OpenCV wants something behind the last number of a text
        data += b"\n"
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), AS_STORED)
    except cv2.error:
        pixels = None
    if pixels is None:
        if name == "tiff":
            tiff.check_usual(data)
        detail = f"the {name.upper()} is damaged or of an unknown kind"
        raise ImageRejected(Reason.UNREADABLE, detail)
    if pixels.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        detail = f"the {name.upper()}'s pixels are {pixels.dtype}, expected 8 or 16-bit integers"
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    return cast("Pixels", pixels)


def _compare(pixels: Pixels, name: str, size: raster_headers.Size) -> None:
    """Refuse what OpenCV has read otherwise than the file's header says."""
    said, found = sorted((size.rows, size.columns)), sorted(pixels.shape[:2])  # it may be turned
    if said != found:
        detail = f"the {name.upper()} says {said} pixels, its decoder gives {found}"
        raise ImageRejected(Reason.UNREADABLE, detail)
    given = pixels.itemsize * 8
    if size.bits > given:
        detail = f"the {name.upper()} has {size.bits} bits a sample, its decoder gives {given}"
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)


def _alpha(data: bytes, name: str, pixels: Pixels) -> Pixels | None:
    """Read the alpha of a PNG or WebP, shape (rows, columns); None without, or if it is turned."""
    if not raster_headers.may_be_transparent(data, name):
        return None
    if (clear := raster_headers.transparent_grey(data, name)) is not None:
        return cast("Pixels", (pixels != clear).astype(np.uint8))
    try:
        whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if whole is None or whole.ndim < CHANNELS or whole.shape[2] != CHANNELS_WITH_ALPHA:
        return None
    colours = pixels if pixels.ndim == CHANNELS else pixels[:, :, np.newaxis]
    same = colours.shape[:2] == whole.shape[:2] and (colours == whole[:, :, :CHANNELS]).all()
    return cast("Pixels", whole[:, :, CHANNELS]) if same else None


def _without_transparent(pixels: Pixels, alpha: Pixels | None) -> Pixels:
    """Make black whatever is fully transparent: no viewer shows the colour that stands there."""
    if alpha is None or not alpha.any() or alpha.all():
        return pixels
    pixels = pixels.copy()
    pixels[alpha == 0] = 0
    return pixels


def _grey(pixels: Pixels) -> Pixels:
    if pixels.ndim == 2:  # noqa: PLR2004 - rows and columns only
        return pixels
    sample = pixels[::4, ::4, :3].astype(np.int32)
    spread = sample.max(axis=2) - sample.min(axis=2)
    if np.mean(spread > COLOURED * np.iinfo(pixels.dtype).max) > MAX_COLOURED_SHARE:
        raise ImageRejected(Reason.COLOUR, "the picture is in colour, expected grey")
    return np.ascontiguousarray(pixels[:, :, min(1, pixels.shape[2] - 1)])
