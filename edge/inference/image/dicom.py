"""
DICOM files -> Mammogram: one grey frame after modality LUT, VOI and presentation LUT.
docs/reference/dicom.md says what is read and how.
"""

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import numpy as np
import pydicom
from pydicom import Dataset

from edge.domain import Flag, ImageFacts
from edge.errors import ImageRejected, Reason
from edge.inference.image import (
    Buffer,
    Limits,
    Mammogram,
    check_size,
    codecs,
    eligibility,
    part10,
    presentation,
    tags,
)
from edge.inference.image.part10 import File, PixelData
from edge.inference.image.presentation import Depth

logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # it quotes values
pydicom.config.settings.reading_validation_mode = (
    pydicom.config.IGNORE
)  # a wrong VR somewhere is no reason to read no pixels

MAX_BITS: Final = 16

with suppress(ImportError):
    import gdcm

    for _off in (gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff, gdcm.Trace.DebugOff):
        _off()


def has_prefix(data: Buffer) -> bool:
    """Whether these bytes are a DICOM file as PS3.10 has it."""
    return part10.is_dicom(data)


def decode(data: Buffer, limits: Limits) -> Mammogram | None:
    """
    Decode a DICOM file: one grey frame after modality LUT, VOI and presentation LUT.

    Returns:
        Pixels of shape (rows, columns), uint8 or uint16 as they were stored, bright = dense. None:
        it is no DICOM file.

    Raises:
        ImageRejected: it is one, but gets no score.
    """
    with _broken("header"):
        syntax = part10.transfer_syntax(data)
        if syntax is not None and part10.is_dicom(data) and not codecs.is_known(syntax):
            raise ImageRejected(Reason.UNSUPPORTED_TRANSFER_SYNTAX, codecs.name(syntax))
        file = part10.read(data, limits.max_bytes)
        if file is None:
            return None
        flags = eligibility.look_at(file.header, limits.implants)
        pixels = part10.pixel_data(file)
        _check(file.header, limits)
        depth = _depth(file.header)
        facts, identity = _facts(file, depth, flags), tags.identity(file.header)
    with _broken("pixel data"):
        stored = _stored(file, pixels, depth)
        shown = presentation.present(file.header, stored, depth)
    return Mammogram(shown.pixels, facts, shown.background, identity, shown.white)


@contextmanager
def _broken(what: str) -> Iterator[None]:
    """
    Whatever a damaged file makes of the libraries becomes a rejection without a word of the file.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ImageRejected, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except (EOFError, struct.error):
        raise ImageRejected(Reason.TRUNCATED, f"the DICOM ends inside its {what}") from None
    # pydicom and its plug-ins raise anything; a panic in pylibjpeg-rle (Rust) is no Exception
    # pydicom and its plug-ins raise anything; a panic in pylibjpeg-rle (Rust) is no Exception
    except BaseException as error:  # noqa: BLE001
        raise ImageRejected(
            Reason.UNREADABLE, f"the DICOM's {what} cannot be read ({type(error).__name__})"
        ) from None


def _check(header: Dataset, limits: Limits) -> None:
    frames, samples = (
        int(header.get("NumberOfFrames") or 1),
        int(header.get("SamplesPerPixel") or 1),
    )
    if frames > 1:
        raise ImageRejected(
            Reason.MULTI_FRAME,
            f"it has {frames} frames, expected one: tomosynthesis is not supported",
        )
    if samples != 1:
        raise ImageRejected(Reason.COLOUR, f"it has {samples} samples per pixel, expected 1")
    if str(header.get("PhotometricInterpretation", "")).strip() == "PALETTE COLOR":
        raise ImageRejected(
            Reason.COLOUR, "its pixels point into a palette of colours, expected grey"
        )
    check_size(int(header.get("Rows") or 0), int(header.get("Columns") or 0), limits)


def _depth(header: Dataset) -> Depth:
    allocated = int(header.BitsAllocated)
    stored = int(header.get("BitsStored") or allocated)
    if allocated not in {8, MAX_BITS} or not 1 <= stored <= allocated:
        detail = (
            f"{allocated} bits allocated and {stored} stored, expected "
            f"8 or {MAX_BITS} and at most as many"
        )
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    high_bit = header.get("HighBit")
    signed = bool(int(header.get("PixelRepresentation") or 0))
    return Depth(allocated, stored, stored - 1 if high_bit is None else int(high_bit), signed)


def _stored(file: File, pixels: PixelData, depth: Depth) -> codecs.Stored:
    """The stored values, shape (rows, columns)."""
    rows, columns = int(file.header.Rows), int(file.header.Columns)
    encapsulated = pixels.length == part10.UNDEFINED
    if encapsulated == (file.syntax in codecs.NATIVE):
        found, expected = ("is", "is not") if encapsulated else ("is not", "is")
        detail = f"the pixel data {found} encapsulated, by the transfer syntax it {expected}"
        raise ImageRejected(Reason.UNREADABLE, detail)
    if not encapsulated:
        return _native(file, pixels, (rows, columns), depth)
    layout = codecs.Layout(file.syntax, rows, columns, depth.allocated, depth.stored, depth.signed)
    stored = codecs.decode(part10.frame(file, pixels), layout)
    if stored.dtype.itemsize * 8 > depth.allocated:
        detail = (
            f"its frame has {stored.dtype.itemsize * 8} bits a pixel, "
            f"its header says {depth.allocated}"
        )
        raise ImageRejected(Reason.UNREADABLE, detail)
    return (
        stored
        if stored.dtype.itemsize * 8 == depth.allocated
        else stored.astype(f"u{depth.allocated // 8}")
    )


def _native(file: File, pixels: PixelData, shape: tuple[int, int], depth: Depth) -> codecs.Stored:
    """Uncompressed pixels, where they lie."""
    count = shape[0] * shape[1]
    expected = count * depth.allocated // 8
    found = min(pixels.length, len(file.data) - pixels.start)
    if found < expected:
        raise ImageRejected(
            Reason.TRUNCATED, f"the pixel data has {found} bytes, expected {expected}"
        )
    little = file.header.original_encoding[1]
    if little or depth.allocated == MAX_BITS:
        dtype = np.dtype(f"{'<' if little else '>'}u{depth.allocated // 8}")
        stored = np.frombuffer(file.data, dtype, count, pixels.start)
        return stored.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    words = np.frombuffer(
        file.data, ">u2", min(pixels.length, expected + 1) // 2, pixels.start
    )  # bytes in big-endian words
    return words.astype("<u2").view(np.uint8)[:count].reshape(shape)


def _facts(file: File, depth: Depth, flags: tuple[Flag, ...]) -> ImageFacts:
    return ImageFacts(
        rows=int(file.header.Rows),
        columns=int(file.header.Columns),
        bits=depth.stored,
        photometric=presentation.photometric(file.header),
        format="dicom",
        laterality=tags.laterality(file.header),
        view=tags.view(file.header),
        transfer_syntax=codecs.name(file.syntax),
        flags=flags,
    )
