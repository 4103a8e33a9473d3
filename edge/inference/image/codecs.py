"""
Compressed frames -> stored values, by the fastest permissive decoder that is installed.

imagecodecs (extra `fast`) is two to five times as fast as the others, and alone knows JPEG with 12
bits.
Two that are faster were not taken: GDCM decodes lossless JPEG 2000 in three quarters of the time,
but aborts its process on damaged files; OpenJPH decodes HTJ2K in under half, but silently returns
the rest of a damaged picture as memory was.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from edge.errors import ImageRejected, Reason
from edge.inference.image import frame_header, jpeg_headers, run_lengths, transfer_syntax
from edge.inference.image.frame import Decoded, Frame, FrameHeader, Stored


@dataclass(frozen=True, slots=True)
class Layout:
    """The frame as the DICOM header describes it."""

    syntax: UID
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool


Codec: TypeAlias = Callable[[bytes, Layout], Stored]
EIGHT: Final = 8
CODE_STREAMS: Final = frozenset({"jpeg 2000", "htj2k"})


def decode(frame: Frame, layout: Layout) -> Decoded:
    """
    Decode one frame, by its own first bytes: some files name another codec.

    Returns:
        Shape (layout.rows, layout.columns); values as they were stored, signed ones perhaps as
        their
        bit patterns.

    Raises:
        ImageRejected: no decoder, or the frame is not what the header says.
        Exception: whatever the decoder makes of a damaged frame.
    """
    header = frame_header.read(
        frame, layout.bits_allocated // 8, transfer_syntax.name(layout.syntax)
    )
    _check(header, layout)
    if transfer_syntax.KINDS.get(layout.syntax) != header.kind:
        layout = replace(layout, syntax=transfer_syntax.SYNTAXES[header.kind])
    # GDCM and pydicom cut values down to what they are told
    allocated = layout.bits_allocated
    if header.bits:
        allocated = EIGHT if header.bits <= EIGHT else 2 * EIGHT
    layout = replace(layout, bits_allocated=allocated, bits_stored=header.bits or allocated)
    try:
        stored = _codec(header, layout)(frame.data, layout)
    except ImageRejected:
        raise
    except Exception as error:
        if isinstance(error, run_lengths.Short) or frame.ending.reason is Reason.TRUNCATED:
            raise frame.ending from None
        if header.kind in CODE_STREAMS and not jpeg_headers.code_stream_is_whole(frame.data):
            raise frame.ending from None
        raise
    if stored.shape != (layout.rows, layout.columns):
        detail = f"decoded it is {stored.shape}, expected {layout.rows} x {layout.columns}"
        raise ImageRejected(Reason.UNREADABLE, detail)
    return Decoded(stored, header, layout.syntax)


def _check(header: FrameHeader, layout: Layout) -> None:
    """Compare the frame's own header with DICOM's before a decoder reserves memory for it."""
    if header.kind == "rle":
        return
    if (header.rows, header.columns) != (layout.rows, layout.columns):
        size = f"{header.rows} x {header.columns}"
        expected = f"{layout.rows} x {layout.columns}"
        detail = f"the compressed frame is {size}, the header says {expected}"
        raise ImageRejected(Reason.UNREADABLE, detail)
    if header.channels != 1:
        detail = f"the compressed frame has {header.channels} channels, expected 1"
        raise ImageRejected(Reason.COLOUR, detail)
    if header.bits > layout.bits_allocated:
        detail = (
            f"its frame has {header.bits} bits a pixel, its header says {layout.bits_allocated}"
        )
        raise ImageRejected(Reason.UNREADABLE, detail)


def _codec(header: FrameHeader, layout: Layout) -> Codec:
    if header.kind == "jpeg" and header.bits == EIGHT:
        return _opencv  # as fast as imagecodecs, and always there
    if fast is not None and header.kind in FAST:
        return FAST[header.kind]
    if header.kind == "jpeg":
        detail = (
            f"{transfer_syntax.name(layout.syntax)}, for more than 8 bits install mammo-edge[fast]"
        )
        raise ImageRejected(Reason.UNSUPPORTED_TRANSFER_SYNTAX, detail)
    return _pylibjpeg_openjpeg if header.kind in CODE_STREAMS else _pydicom


def _imagecodecs() -> Any:  # noqa: ANN401 - it comes without types
    try:
        return importlib.import_module("imagecodecs")
    except ImportError:
        return None


fast: Any = _imagecodecs()
"""imagecodecs, or None."""


def _opencv(frame: bytes, _: Layout) -> Stored:
    pixels = cv2.imdecode(np.frombuffer(frame, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ImageRejected(Reason.UNREADABLE, "the compressed frame is damaged")
    return np.asarray(pixels)


def _libjpeg_turbo(frame: bytes, _: Layout) -> Stored:
    return np.asarray(fast.jpeg8_decode(frame))


def _charls(frame: bytes, _: Layout) -> Stored:
    return np.asarray(fast.jpegls_decode(frame))


def _openjpeg(frame: bytes, _: Layout) -> Stored:
    return np.asarray(fast.jpeg2k_decode(frame))


def _dicomrle(frame: bytes, layout: Layout) -> Stored:
    dtype = np.dtype(f"<u{layout.bits_allocated // 8}")
    count = layout.rows * layout.columns
    room = bytearray(count * dtype.itemsize)  # it writes no further
    try:
        decoded = np.frombuffer(fast.dicomrle_decode(frame, dtype, out=room), dtype)
    except fast.DicomrleError:  # it takes padding behind a segment's runs for more of them
        trimmed = run_lengths.trimmed(frame, count)
        decoded = np.frombuffer(fast.dicomrle_decode(trimmed, dtype, out=room), dtype)
    if decoded.size != count:
        raise run_lengths.Short
    return decoded.reshape(layout.rows, layout.columns)


def _pylibjpeg_openjpeg(frame: bytes, _: Layout) -> Stored:
    return np.asarray(importlib.import_module("openjpeg").decode(frame))


def _pydicom(frame: bytes, layout: Layout) -> Stored:
    """Through pydicom's plug-ins: pylibjpeg's for run lengths, GDCM's for the rest."""
    decoder = get_decoder(layout.syntax)
    plugin = next((each for each in ("pylibjpeg", "gdcm") if each in decoder.available_plugins), "")
    if not decoder.available_plugins:
        raise ImageRejected(Reason.UNSUPPORTED_TRANSFER_SYNTAX, transfer_syntax.name(layout.syntax))
    options: dict[str, Any] = {
        "pixel_keyword": "PixelData",
        "number_of_frames": 1,
        "rows": layout.rows,
        "columns": layout.columns,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": layout.bits_allocated,
        "bits_stored": layout.bits_stored,
        "pixel_representation": int(layout.signed),
    }
    pixels, _ = decoder.as_array(
        encapsulate([frame], has_bot=False), raw=True, decoding_plugin=plugin, **options
    )
    return pixels


FAST: Final[Mapping[str, Codec]] = {
    "rle": _dicomrle,
    "jpeg": _libjpeg_turbo,
    "jpeg lossless": _libjpeg_turbo,
    "jpeg-ls": _charls,
    "jpeg 2000": _openjpeg,
    "htj2k": _openjpeg,
}
"""imagecodecs' decoders, by kind."""
