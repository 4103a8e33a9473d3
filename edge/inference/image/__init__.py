"""The way from bytes on disk to a Mammogram: one file for each family of formats."""

import os
import stat
from errno import ENOMEM
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from edge.errors import ImageRejected, Reason, UnreadableError
from edge.inference.image import dicom, raster
from edge.inference.image.frame import Buffer
from edge.inference.image.mammogram import Limits, Mammogram, Pixels

__all__ = ["Limits", "Mammogram", "Pixels", "decode", "open_mammogram"]

EXPECTED: Final = "expected DICOM, PNG, JPEG, TIFF, PGM, BMP, JPEG 2000 or WebP"


def open_mammogram(path: Path, limits: Limits) -> Mammogram:
    """
    Read and decode one file, by its bytes and not by its name.

    Raises:
        ImageRejected: these bytes get no score.
        UnreadableError: the file is missing or cannot be read.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO without a writer would block
    try:
        file = os.open(path, flags)
    except OSError as error:
        msg = f"the image file cannot be read: {error.strerror}"
        raise UnreadableError(msg) from None
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
    """Read a file's bytes if its file system maps nothing, as FUSE and 9p may."""
    try:
        with os.fdopen(os.dup(file), "rb") as whole:
            return whole.read()
    except OSError as error:
        msg = f"the image file cannot be read: {error.strerror}"
        raise UnreadableError(msg) from None


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
    if not data:
        raise ImageRejected(Reason.EMPTY, "the file has 0 bytes")
    _check_bytes(len(data), limits)
    # the preamble of a DICOM file may be that of a TIFF
    picture = None if dicom.has_prefix(data) else raster.decode(data, limits)
    mammogram = picture or dicom.decode(data, limits)
    if mammogram is None:
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, EXPECTED)
    return mammogram
