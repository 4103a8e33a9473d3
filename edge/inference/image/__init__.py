"""Bytes on disk -> Mammogram: one file per family of formats."""

import os
import stat
from dataclasses import dataclass
from errno import ENOMEM
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.domain import Identity, ImageFacts, Implants
from edge.errors import ImageRejected, Reason, Unavailable

Pixels: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16."""
Buffer: TypeAlias = bytes | mmap
"""The bytes of a file, read or mapped."""
EXPECTED: Final = "expected DICOM, PNG, JPEG, TIFF, PGM, BMP, JPEG 2000 or WebP"


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of the files that a worker decodes."""

    max_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 100_000_000
    implants: Implants = "flag"


@dataclass(frozen=True, slots=True)
class Mammogram:
    """Grey pixels after modality LUT, VOI and presentation LUT, and the few tags we use."""

    pixels: Pixels
    """Shape (rows, columns), bright = dense."""
    facts: ImageFacts
    background: int | None = None
    """DICOM's padding value as it stands in `pixels`: left out of percentiles."""
    identity: Identity | None = None
    white: int | None = None
    """Top of the range that `pixels` use; None: 2 ** facts.bits - 1."""


def check_size(rows: int, columns: int, limits: Limits) -> None:
    """
    Refuse a picture by its header, before memory is spent on it.

    Raises:
        ImageRejected: it has no pixels, or more than the limit.
    """
    if rows < 1 or columns < 1:
        raise ImageRejected(Reason.NO_PIXELS, f"the picture is {rows} x {columns} pixels")
    if rows * columns > limits.max_pixels:
        detail = f"{rows} x {columns} = {rows * columns} pixels, the limit is {limits.max_pixels}"
        raise ImageRejected(Reason.TOO_LARGE, detail)


def bits(pixels: Pixels) -> int:
    """
    8, or for 16-bit files as many as hold the largest value: 12-bit pictures come in 16-bit files.
    """
    return max(8, int(pixels.max()).bit_length())


def open_mammogram(path: Path, limits: Limits) -> Mammogram:
    """
    Read and decode one file, by its bytes and not by its name.

    Raises:
        ImageRejected: these bytes get no score.
        Unavailable: the file is missing or cannot be read.
    """
    try:
        file = os.open(
            path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        )  # a FIFO without a writer would block
    except OSError as error:
        msg = f"the image file cannot be read: {error.strerror}"
        raise Unavailable(msg) from None
    try:
        return decode(_mapped(file, limits), limits)
    finally:
        os.close(file)


def _mapped(file: int, limits: Limits) -> Buffer:
    """
    Map a file's bytes: uncompressed pixels are read in place.

    A file that is cut while it is read costs the worker, not the daemon.
    """
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise ImageRejected(Reason.UNREADABLE, "it is not a regular file")
    if not status.st_size:
        return b""
    _check_bytes(status.st_size, limits)
    try:
        return mmap(file, status.st_size, access=ACCESS_READ)
    except OSError as error:
        if error.errno == ENOMEM:  # no retry would help
            raise MemoryError from None
        return _read(file)


def _read(file: int) -> bytes:
    """A file's bytes where its file system maps nothing, as FUSE and 9p may."""
    try:
        with os.fdopen(os.dup(file), "rb") as whole:
            return whole.read()
    except OSError as error:
        msg = f"the image file cannot be read: {error.strerror}"
        raise Unavailable(msg) from None


def _check_bytes(size: int, limits: Limits) -> None:
    if size > limits.max_bytes:
        raise ImageRejected(Reason.TOO_LARGE, f"more than the limit of {limits.max_bytes} bytes")


def decode(data: Buffer, limits: Limits) -> Mammogram:
    """
    Decode the bytes of one file.

    Raises:
        ImageRejected: these bytes get no score. Nothing else is raised, whatever the bytes, but
            MemoryError.
    """
    # both import Mammogram from here, and the supervisor imports neither
    from edge.inference.image import dicom, raster  # noqa: PLC0415

    if not data:
        raise ImageRejected(Reason.EMPTY, "the file has 0 bytes")
    _check_bytes(len(data), limits)
    mammogram = (
        None if dicom.has_prefix(data) else raster.decode(data, limits)
    )  # a DICOM file's preamble may be that of a TIFF
    mammogram = mammogram or dicom.decode(data, limits)
    if mammogram is None:
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, EXPECTED)
    return mammogram
