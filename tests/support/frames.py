"""
DICOM files with compressed frames and tables, made piece by piece: for what no writer would write.
"""

import struct
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from tests.support.films import dicom

JPEG_LOSSLESS: Final = UID("1.2.840.10008.1.2.4.70")
JPEG_LS: Final = UID("1.2.840.10008.1.2.4.80")
JPEG_2000: Final = UID("1.2.840.10008.1.2.4.90")
HTJ2K: Final = UID("1.2.840.10008.1.2.4.201")
RLE: Final = UID("1.2.840.10008.1.2.5")
SYNTAXES: Final = {
    "jpeg lossless": JPEG_LOSSLESS,
    "jpeg-ls": JPEG_LS,
    "jpeg 2000": JPEG_2000,
    "htj2k": HTJ2K,
    "rle": RLE,
}
ITEM: Final = b"\xfe\xff\0\xe0"
DELIMITER: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"


def frame(kind: str, pixels: NDArray[Any], bits: int) -> bytes:
    """One compressed frame, without loss; signed if the pixels are."""
    if kind == "rle":
        return run_lengths(pixels)
    codecs: Any = pytest.importorskip(
        "imagecodecs", reason="imagecodecs is missing: pip install -r requirements/fast.in"
    )
    patterns = pixels.view(f"u{pixels.itemsize}")
    stored = patterns & patterns.dtype.type(2**bits - 1)
    match kind:
        case "jpeg lossless":
            return bytes(codecs.ljpeg_encode(stored, bitspersample=bits))
        case "jpeg-ls":
            return bytes(codecs.jpegls_encode(stored))
        case "htj2k":
            return bytes(codecs.htj2k_encode(pixels, reversible=True))  # all bits of the type
    options = {"codecformat": "J2K", "reversible": True, "level": 0, "bitspersample": bits}
    return bytes(codecs.jpeg2k_encode(pixels, **options))


def run_lengths(pixels: NDArray[Any]) -> bytes:
    """
    PS3.5, Annex G: a segment for each byte of a pixel, the highest first, here without repetitions.
    """
    flat = np.frombuffer(pixels.astype(f"<u{pixels.itemsize}").tobytes(), np.uint8)
    planes = [flat[at :: pixels.itemsize].tobytes() for at in reversed(range(pixels.itemsize))]
    segments = []
    for plane in planes:
        runs = [plane[at : at + 128] for at in range(0, len(plane), 128)]
        segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(segment + b"\0" * (len(segment) % 2))
    starts = [64 + sum(map(len, segments[:at])) for at in range(len(segments))]
    header = [len(segments), *starts, *[0] * (15 - len(starts))]
    return struct.pack("<16I", *header) + b"".join(segments)


def item(value: bytes) -> bytes:
    """A fragment."""
    value += b"\0" * (len(value) % 2)
    return ITEM + struct.pack("<I", len(value)) + value


def with_frame(
    pixels: NDArray[Any],
    syntax: UID,
    *fragments: bytes,
    ending: bytes = DELIMITER,
    **tags: Any,  # noqa: ANN401 - a tag's value
) -> bytes:
    """A DICOM file whose pixel data are an empty offset table, these fragments and this ending."""
    return with_pixel_data(pixels, syntax, b"".join(map(item, (b"", *fragments))) + ending, **tags)


def with_pixel_data(
    pixels: NDArray[Any],
    syntax: UID,
    value: bytes,
    length: int = 0xFFFFFFFF,
    **tags: Any,  # noqa: ANN401 - a tag's value
) -> bytes:
    """A DICOM file with these bytes as pixel data."""
    whole = dicom(pixels, **tags)
    at = whole.rindex(b"\xe0\x7f\x10\0OW")
    whole = whole[:at] + b"\xe0\x7f\x10\0OB\0\0" + struct.pack("<I", length) + value
    return with_syntax(whole, syntax)


def with_syntax(whole: bytes, syntax: str) -> bytes:
    """The same file under another transfer syntax, its data set unchanged."""
    at = whole.index(b"\x02\0\x10\0UI")
    old = 8 + int.from_bytes(whole[at + 6 : at + 8], "little")
    name = syntax.encode() + b"\0" * (len(syntax) % 2)
    element = b"\x02\0\x10\0UI" + struct.pack("<H", len(name)) + name
    length = struct.unpack_from("<I", whole, 140)[0] + len(element) - old
    changed = whole[:at] + element + whole[at + old :]
    return changed[:140] + struct.pack("<I", length) + changed[144:]


def lut(keyword: str, descriptor: list[int], vr: str, data: object) -> dict[str, Any]:
    """A modality or VOI LUT Sequence with one table."""
    table = Dataset()
    table.add_new("LUTDescriptor", "SS" if min(descriptor) < 0 else "US", descriptor)
    table.add_new("LUTData", vr, data)
    if keyword == "ModalityLUTSequence":
        table.ModalityLUTType = "US"
    return {keyword: Sequence([table])}
