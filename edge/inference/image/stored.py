"""A DICOM file's stored values, uncompressed or in a frame, wherever the file really has them."""

from typing import Final

import numpy as np

from edge.errors import ImageRejected, Reason
from edge.inference.image import agreement, codecs, fragments, part10, transfer_syntax
from edge.inference.image.attributes import number
from edge.inference.image.depth import Depth
from edge.inference.image.frame import Frame, Stored
from edge.inference.image.part10 import File, PixelData

SIXTEEN: Final = 16


def read(file: File, pixels: PixelData, depth: Depth) -> tuple[Stored, Depth, str]:
    """
    Read the stored values by what stands in the file, whatever its transfer syntax says.

    Args:
        file: its header.
        pixels: where its pixel data lie.
        depth: what its header says of a stored value.

    Returns:
        Values of shape (rows, columns), 8 or 16 bits; how they lie in their bits; the transfer
        syntax they came in.

    Raises:
        ImageRejected: they are not all there, or not what the header says.
        Exception: whatever a decoder makes of a damaged frame.
    """
    frame = _frame(file, pixels, depth)
    if frame is None:
        syntax = (
            file.syntax if file.syntax in transfer_syntax.NATIVE else part10.guessed(file.header)
        )
        values = _native(file, pixels, depth)
        return values, agreement.wide(file.header, depth, values), transfer_syntax.name(syntax)
    rows, columns = _shape(file)
    layout = codecs.Layout(file.syntax, rows, columns, depth.allocated, depth.stored, depth.signed)
    decoded = codecs.decode(frame, layout)
    agreed = agreement.agreed(file.header, depth, decoded)
    wide = decoded.values.dtype.itemsize * 8 == depth.allocated
    values = decoded.values if wide else decoded.values.astype(f"u{depth.allocated // 8}")
    return values, agreed, transfer_syntax.name(decoded.syntax)


def _frame(file: File, pixels: PixelData, depth: Depth) -> Frame | None:
    """The compressed frame; None if the pixels are not compressed, or no longer."""
    if fragments.is_encapsulated(file, pixels):
        return fragments.frame(file, pixels)
    if file.syntax in transfer_syntax.NATIVE:
        return None
    expected = _expected(file, depth)
    if expected <= pixels.length <= expected + 1:
        return None
    if bare := fragments.bare_frame(file, pixels):
        return bare
    detail = (
        f"the transfer syntax is {transfer_syntax.name(file.syntax)}, but the pixel data is "
        f"neither encapsulated nor the {expected} bytes of an uncompressed picture"
    )
    raise ImageRejected(Reason.UNREADABLE, detail)


def _expected(file: File, depth: Depth) -> int:
    """Bytes of the uncompressed picture."""
    rows, columns = _shape(file)
    return rows * columns * depth.allocated // 8


def _shape(file: File) -> tuple[int, int]:
    rows, columns = (number(file.header, keyword) or 0 for keyword in ("Rows", "Columns"))
    return int(rows), int(columns)


def _native(file: File, pixels: PixelData, depth: Depth) -> Stored:
    """Uncompressed pixels, where they lie."""
    expected = _expected(file, depth)
    found = min(pixels.length, len(file.data) - pixels.start)
    _check_length(found, expected, cut=found < pixels.length)
    shape = _shape(file)
    count = shape[0] * shape[1]
    little = file.header.original_encoding[1]
    if little or pixels.in_bytes or depth.allocated == SIXTEEN:
        dtype = np.dtype(f"{'<' if little else '>'}u{depth.allocated // 8}")
        stored = np.frombuffer(file.data, dtype, count, pixels.start)
        return stored.reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    words = min(pixels.length, expected + 1) // 2  # bytes in big-endian words
    pairs = np.frombuffer(file.data, ">u2", words, pixels.start)
    return pairs.astype("<u2").view(np.uint8)[:count].reshape(shape)


def _check_length(found: int, expected: int, *, cut: bool) -> None:
    """Refuse too few bytes, and so many that another picture or wider pixels must be meant."""
    detail = f"the pixel data has {found} bytes, expected {expected}"
    if found < expected:
        raise ImageRejected(Reason.TRUNCATED if cut else Reason.UNREADABLE, detail)
    if found >= 2 * expected and found > expected + 1 and not cut:
        raise ImageRejected(Reason.UNREADABLE, detail)
