"""
Encapsulated frames -> stored values: for each kind of compression the fastest permissive decoder
that is installed.

imagecodecs (extra `fast`) is two to five times as fast as what comes without it, and the only one
that knows JPEG with 12 bits.
"""

import importlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import pydicom.uid as uids
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from edge.errors import ImageRejected, Reason
from edge.inference.image import raster_headers

Stored: TypeAlias = NDArray[np.integer[Any]]
"""Shape (rows, columns), 8 or 16-bit integers."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What the DICOM header says of the frame."""

    syntax: UID
    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    signed: bool


Codec: TypeAlias = Callable[[bytes, Layout], Stored]
EIGHT: Final = 8
RLE_HEADER: Final = struct.Struct("<16I")

NATIVE: Final = frozenset(
    {
        uids.ImplicitVRLittleEndian,
        uids.ExplicitVRLittleEndian,
        uids.ExplicitVRBigEndian,
        uids.DeflatedExplicitVRLittleEndian,
    }
)
KINDS: Final[Mapping[UID, str]] = {
    uids.RLELossless: "rle",
    uids.JPEGBaseline8Bit: "jpeg",
    uids.JPEGExtended12Bit: "jpeg",
    UID("1.2.840.10008.1.2.4.53"): "jpeg",  # spectral selection, retired
    UID("1.2.840.10008.1.2.4.55"): "jpeg",  # full progression, retired
    uids.JPEGLossless: "jpeg lossless",
    uids.JPEGLosslessSV1: "jpeg lossless",
    uids.JPEGLSLossless: "jpeg-ls",
    uids.JPEGLSNearLossless: "jpeg-ls",
    uids.JPEG2000Lossless: "jpeg 2000",
    uids.JPEG2000: "jpeg 2000",
    uids.HTJ2KLossless: "htj2k",
    uids.HTJ2KLosslessRPCL: "htj2k",
    uids.HTJ2K: "htj2k",
}

CODE_STREAMS: Final = frozenset({"jpeg 2000", "htj2k"})


def name(syntax: UID) -> str:
    """Its name in the standard; a private one has none and could hold anything."""
    return "a private one" if syntax.is_private or syntax.name == syntax else syntax.name


def is_known(syntax: UID) -> bool:
    """Whether there may be a decoder, depending on the bits."""
    return syntax in NATIVE or syntax in KINDS


def decode(frame: bytes, layout: Layout) -> Stored:
    """
    Decode one frame.

    Returns:
        Shape (layout.rows, layout.columns); values as they were stored, signed ones perhaps as
        their bit patterns.

    Raises:
        ImageRejected: no decoder, or the frame is not what the header says.
        Exception: whatever the decoder makes of a damaged frame.
    """
    kind = KINDS[layout.syntax]
    _check(frame, kind, layout)
    stored = _codec(kind, frame, layout)(frame, layout)
    if stored.shape != (layout.rows, layout.columns):
        raise ImageRejected(
            Reason.UNREADABLE,
            f"decoded it has the shape {stored.shape}, expected {layout.rows} x {layout.columns}",
        )
    return stored


def _check(frame: bytes, kind: str, layout: Layout) -> None:
    """Compare the frame's own header with DICOM's before a decoder reserves memory for it."""
    if kind == "rle":
        _check_rle(frame, layout)
        return
    size = (raster_headers.code_stream if kind in CODE_STREAMS else raster_headers.jpeg_frame)(
        frame
    )
    if (size.rows, size.columns) != (layout.rows, layout.columns):
        detail = (
            f"the compressed frame is {size.rows} x {size.columns}, the "
            f"header says {layout.rows} x {layout.columns}"
        )
        raise ImageRejected(Reason.UNREADABLE, detail)
    if size.channels != 1:
        raise ImageRejected(
            Reason.COLOUR, f"the compressed frame has {size.channels} channels, expected 1"
        )


def _check_rle(frame: bytes, layout: Layout) -> None:
    """
    PS3.5, G.5: one segment a byte of a pixel, one after the other. imagecodecs crashes where they
    lie outside the frame.
    """
    if len(frame) < RLE_HEADER.size:
        raise ImageRejected(Reason.TRUNCATED, "the DICOM ends inside its pixel data")
    count, *offsets = RLE_HEADER.unpack_from(frame)
    bounds = [*offsets[: min(count, 15)], len(frame)]
    in_order = bounds[0] >= RLE_HEADER.size and all(start < end for start, end in pairwise(bounds))
    if count != layout.bits_allocated // 8 or not in_order:
        raise ImageRejected(
            Reason.UNREADABLE, "the segments of the run-length encoding make no sense"
        )


def _codec(kind: str, frame: bytes, layout: Layout) -> Codec:
    if kind == "jpeg" and raster_headers.jpeg_frame(frame).bits == EIGHT:
        return _opencv  # as fast as imagecodecs, and always there
    if fast is not None and kind in FAST:
        return FAST[kind]
    if kind == "jpeg":
        raise ImageRejected(
            Reason.UNSUPPORTED_TRANSFER_SYNTAX,
            f"{name(layout.syntax)}, for more than 8 bits install mammo-edge[fast]",
        )
    return _pydicom


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
    decoded = np.frombuffer(fast.dicomrle_decode(frame, dtype, out=room), dtype)
    if decoded.size != count:
        raise ImageRejected(
            Reason.TRUNCATED, f"the run-length encoding has {decoded.size} pixels, expected {count}"
        )
    return decoded.reshape(layout.rows, layout.columns)


def _pydicom(frame: bytes, layout: Layout) -> Stored:
    """Through pydicom's plug-ins: pylibjpeg before GDCM before any other."""
    decoder = get_decoder(layout.syntax)
    plugin = next((each for each in ("pylibjpeg", "gdcm") if each in decoder.available_plugins), "")
    if not decoder.available_plugins:
        raise ImageRejected(Reason.UNSUPPORTED_TRANSFER_SYNTAX, name(layout.syntax))
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
"""
imagecodecs, by kind. Two that are faster were not taken: GDCM decodes lossless JPEG 2000 in three
quarters of the time, but aborts its process on damaged files; OpenJPH decodes HTJ2K in under half,
but returns the rest of a damaged picture as it was in memory, silently.
"""
