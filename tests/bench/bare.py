"""
Decode an encoded frame by one call of a library, with no header read and nothing applied to the
pixels.
"""

import functools
import importlib
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import pydicom
from pydicom.encaps import get_frame
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

Decode: TypeAlias = Callable[[], object]

IMAGECODECS: Final[dict[str, tuple[str, ...]]] = {
    "1.2.840.10008.1.2.4.50": ("jpeg8_decode",),
    "1.2.840.10008.1.2.4.51": ("jpeg_decode",),
    "1.2.840.10008.1.2.4.57": ("jpegsof3_decode", "ljpeg_decode"),
    "1.2.840.10008.1.2.4.70": ("jpegsof3_decode", "ljpeg_decode"),
    "1.2.840.10008.1.2.4.80": ("jpegls_decode",),
    "1.2.840.10008.1.2.4.81": ("jpegls_decode",),
    "1.2.840.10008.1.2.4.90": ("jpeg2k_decode",),
    "1.2.840.10008.1.2.4.91": ("jpeg2k_decode",),
    "1.2.840.10008.1.2.4.201": ("htj2k_decode",),
}
"""Decoders by transfer syntax, of the libraries that are installed."""
OPENJPEG: Final = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201")
RLE: Final = "1.2.840.10008.1.2.5"


def decoders(path: Path) -> dict[str, Decode]:
    """List the ways to decode this file that are installed and work, by name."""
    found = dict(_raster(path) if path.suffix != ".dcm" else _dicom(path))
    return {name: decode for name, decode in found.items() if _works(decode)}


def _works(decode: Decode) -> bool:
    try:
        decode()
    except Exception:  # noqa: BLE001 - a library that cannot is no candidate, whatever it raises
        return False
    return True


def _raster(path: Path) -> Iterator[tuple[str, Decode]]:
    data = np.frombuffer(path.read_bytes(), np.uint8)
    yield "OpenCV", lambda: _there(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))


def _dicom(path: Path) -> Iterator[tuple[str, Decode]]:
    data = path.read_bytes()
    dataset = pydicom.dcmread(path)
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not syntax.is_encapsulated:
        yield from _uncompressed(data, dataset)
        return
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    yield from _with_imagecodecs(str(syntax), frame)
    if syntax == RLE:
        yield from _run_lengths(frame, dataset)
    if syntax in OPENJPEG:
        openjpeg = importlib.import_module("openjpeg")
        yield "pylibjpeg-openjpeg", lambda: openjpeg.decode(frame)
    encoded = np.frombuffer(frame, np.uint8)
    yield "OpenCV", lambda: _there(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED))
    yield "gdcm (through pydicom)", lambda: pixel_array(path, decoding_plugin="gdcm", raw=True)


def _uncompressed(data: bytes, dataset: pydicom.Dataset) -> Iterator[tuple[str, Decode]]:
    values, dtype = dataset.PixelData, np.dtype(f"u{dataset.BitsAllocated // 8}")
    if dataset.file_meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        stream = data[_start_of_dataset(data) :]
        yield "zlib", lambda: zlib.decompress(stream, -zlib.MAX_WBITS)
    else:
        yield "numpy, one copy", lambda: np.frombuffer(values, dtype).copy()


def _start_of_dataset(data: bytes) -> int:
    """
    Find the start of the dataset, after preamble, prefix and file meta information.

    The length of the file meta information is in its first element.
    """
    return 144 + int.from_bytes(data[140:144], "little")


def _with_imagecodecs(syntax: str, frame: bytes) -> Iterator[tuple[str, Decode]]:
    try:
        imagecodecs = importlib.import_module("imagecodecs")
    except ImportError:
        return
    for name in IMAGECODECS.get(syntax, ()):
        yield (
            f"imagecodecs {name.removesuffix('_decode')}",
            functools.partial(getattr(imagecodecs, name), frame),
        )


def _run_lengths(frame: bytes, dataset: pydicom.Dataset) -> Iterator[tuple[str, Decode]]:
    rle = importlib.import_module("rle.utils")
    count, bits = dataset.Rows * dataset.Columns, dataset.BitsAllocated
    yield "pylibjpeg-rle", lambda: rle.decode_frame(frame, count, bits, "<")
    try:
        imagecodecs: Any = importlib.import_module("imagecodecs")
    except ImportError:
        return
    yield "imagecodecs dicomrle", lambda: imagecodecs.dicomrle_decode(frame, f"<u{bits // 8}")


def _there(pixels: object) -> object:
    if pixels is None:
        msg = "it does not decode this"
        raise ValueError(msg)
    return pixels
