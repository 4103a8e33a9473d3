"""DICOM files -> Mammogram, through pydicom and its permissive plug-ins."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGExtended12Bit

from edge.domain import ImageFacts
from edge.errors import ImageRejected, Reason
from edge.image import Limits, Mammogram, Pixels, check_size, tags

logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # it quotes values
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # a wrong VR somewhere is no reason to read no pixels

PREFIX: Final = b"DICM"
PREAMBLE: Final = 128
BARE_GROUPS: Final = (b"\x02\0", b"\x08\0")
"""A file without preamble starts with the file meta information or with the identifying group."""
PIXEL_DATA: Final = b"\xe0\x7f\x10\0"
PREFERRED: Final = ("pylibjpeg", "gdcm")
"""Faster first; both are under permissive licences."""
JPEG_BITS: Final = 8
"""No plug-in under a permissive licence decodes JPEG Extended with more."""
WHITE: Final = 65535
MAX_BITS: Final = 16

with suppress(ImportError):
    import gdcm

    for _off in (gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff, gdcm.Trace.DebugOff):
        _off()


def has_prefix(data: bytes) -> bool:
    """Whether these bytes are a DICOM file as PS3.10 has it."""
    return data[PREAMBLE : PREAMBLE + 4] == PREFIX


def decode(data: bytes, limits: Limits) -> Mammogram | None:
    """
    Decode a DICOM file: one grey frame after modality LUT, VOI and presentation LUT.

    Returns:
        Pixels of shape (rows, columns), uint8 or uint16, bright = dense. None: it is no DICOM file.

    Raises:
        ImageRejected: it is one, but gets no score.
    """
    if not has_prefix(data) and data[:2] not in BARE_GROUPS:
        return None
    with _broken("header"):
        dataset = pydicom.dcmread(io.BytesIO(data), force=not has_prefix(data))
        if not has_prefix(data) and not any(keyword in dataset for keyword in ("SOPClassUID", "Modality", "Rows")):
            return None
        _check(dataset, data, limits)
    with _broken("pixel data"):
        return _mammogram(dataset, _stored(dataset))


@contextmanager
def _broken(what: str) -> Iterator[None]:
    """Whatever a damaged file makes of the libraries becomes a rejection without a word of the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ImageRejected, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except EOFError:
        raise ImageRejected(Reason.TRUNCATED, f"the DICOM ends inside its {what}") from None
    except BaseException as error:  # noqa: BLE001 - pydicom and its plug-ins raise anything; a panic in pylibjpeg-rle (Rust) is no Exception
        raise ImageRejected(Reason.UNREADABLE, f"the DICOM's {what} cannot be read ({type(error).__name__})") from None


def _check(dataset: Dataset, data: bytes, limits: Limits) -> None:
    modality = str(dataset.get("Modality") or "MG")  # film sets leave it out
    if modality != "MG":
        found = modality if modality in tags.MODALITIES else "another"  # whatever else stands there is not repeated
        raise ImageRejected(Reason.NOT_A_MAMMOGRAM, f"Modality is {found}, expected MG")
    if "PixelData" not in dataset:
        _reject_without_pixels(dataset, data)
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        raise ImageRejected(
            Reason.MULTI_FRAME, f"it has {int(dataset.NumberOfFrames)} frames, expected one: tomosynthesis is not supported"
        )
    if int(dataset.get("SamplesPerPixel", 1)) != 1:
        raise ImageRejected(Reason.COLOUR, f"it has {int(dataset.SamplesPerPixel)} samples per pixel, expected 1")
    check_size(int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0), limits)


def _reject_without_pixels(dataset: Dataset, data: bytes) -> NoReturn:
    """Pydicom ends in silence where the bytes do: see whether the last element it read is whole and is the end."""
    if PIXEL_DATA in data:
        raise ImageRejected(Reason.TRUNCATED, "the DICOM ends inside its pixel data")
    last: object = dataset.get_item(max(dataset.keys())) if dataset else None
    if last is None or (isinstance(last, RawDataElement) and last.value_tell + last.length != len(data)):
        raise ImageRejected(Reason.TRUNCATED, "the DICOM ends inside its header")
    raise ImageRejected(Reason.NO_PIXELS, "the DICOM has no pixel data: a header only, or not an image")


def _stored(dataset: FileDataset) -> NDArray[np.integer[Any]]:
    """The stored values, shape (rows, columns), decoded with the fastest plug-in there is."""
    syntax = _transfer_syntax(dataset)
    if not syntax.is_encapsulated:
        _check_length(dataset)
        return _pixel_array(dataset)
    try:
        plugins = get_decoder(syntax).available_plugins
    except NotImplementedError:
        plugins = ()
    if not plugins or (syntax == JPEGExtended12Bit and int(dataset.BitsStored) > JPEG_BITS):
        raise ImageRejected(Reason.UNSUPPORTED_TRANSFER_SYNTAX, _name(syntax))
    dataset.pixel_array_options(decoding_plugin=next((name for name in PREFERRED if name in plugins), ""))
    return _pixel_array(dataset)


def _pixel_array(dataset: FileDataset) -> NDArray[np.integer[Any]]:
    pixels: NDArray[np.integer[Any]] = dataset.pixel_array
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)  # a big-endian file gives a big-endian array


def _transfer_syntax(dataset: FileDataset) -> UID:
    """What the file says, or what pydicom found where an old file says nothing."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return UID(dataset.file_meta.TransferSyntaxUID)


def _name(syntax: UID) -> str:
    """Its name in the standard; a private one has none and could hold anything."""
    return "a private one" if syntax.is_private or syntax.name == syntax else syntax.name


def _check_length(dataset: FileDataset) -> None:
    expected = int(dataset.Rows) * int(dataset.Columns) * int(dataset.BitsAllocated) // 8
    if len(dataset.PixelData) < expected:
        raise ImageRejected(Reason.TRUNCATED, f"the pixel data has {len(dataset.PixelData)} bytes, expected {expected}")


def _mammogram(dataset: FileDataset, stored: NDArray[np.integer[Any]]) -> Mammogram:
    bits = int(dataset.BitsStored)
    if stored.ndim != 2 or stored.dtype.itemsize * 8 > MAX_BITS or not 1 <= bits <= MAX_BITS:  # noqa: PLR2004 - rows and columns
        detail = f"{stored.dtype.itemsize * 8} bits allocated and {bits} stored, expected at most {MAX_BITS}"
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    pixels, padding, white = _presented(dataset, stored, bits)
    facts = ImageFacts(
        rows=pixels.shape[0],
        columns=pixels.shape[1],
        bits=bits,
        photometric=_photometric(dataset),
        format="dicom",
        laterality=tags.laterality(dataset),
        view=tags.view(dataset),
        transfer_syntax=_name(_transfer_syntax(dataset)),
    )
    return Mammogram(pixels, facts, padding, tags.identity(dataset), white)


def _presented(dataset: FileDataset, stored: NDArray[np.integer[Any]], bits: int) -> tuple[Pixels, int | None, int]:
    """
    Modality LUT, VOI and presentation LUT.

    Each of them maps a stored value to another whatever stands beside it, so pydicom computes them once for every possible
    value instead of once for every pixel: the same numbers, without a full-size float copy.

    Returns:
        Pixels, the padding value as it stands in them, and the top of their range.
    """
    every = np.arange(2 ** (8 * stored.dtype.itemsize), dtype=np.dtype(f"u{stored.dtype.itemsize}"))
    values = _stored_values(every, bits, signed=bool(dataset.get("PixelRepresentation", 0)))
    shown = _voi(apply_modality_lut(values, dataset), dataset)
    low, high = float(shown.min()), float(shown.max())
    shown = (shown - low) / max(high - low, 1e-12)
    if _dark_is_dense(dataset):
        shown = 1 - shown
    table = np.rint(shown * WHITE).astype(np.uint16)
    padding = _pad(dataset, values, table)
    return table[stored.view(every.dtype)], padding, WHITE


def _stored_values(patterns: NDArray[np.unsignedinteger[Any]], bits: int, *, signed: bool) -> NDArray[np.int32]:
    """What each bit pattern means: bits above those stored are not part of the value (old files keep overlays there)."""
    values: NDArray[np.int32] = patterns.astype(np.int32) & (2**bits - 1)
    if signed:
        values[values >= 2 ** (bits - 1)] -= 2**bits
    return values


def _voi(values: NDArray[Any], dataset: FileDataset) -> NDArray[np.float64]:
    """VOI LUT or the first window; one that makes no sense is left out, as viewers do."""
    try:
        return np.asarray(apply_voi_lut(values, dataset, index=0), np.float64)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, NotImplementedError):
        return np.asarray(values, np.float64)


def _dark_is_dense(dataset: FileDataset) -> bool:
    """Presentation LUT Shape says it where it stands; MONOCHROME1 without one says it too."""
    inverse = str(dataset.get("PresentationLUTShape", "")).strip() == "INVERSE"
    return inverse or _photometric(dataset) == "MONOCHROME1"


def _photometric(dataset: FileDataset) -> str:
    found = str(dataset.get("PhotometricInterpretation", "")).strip()
    return found if found in {"MONOCHROME1", "MONOCHROME2"} else "MONOCHROME2"


def _pad(dataset: FileDataset, values: NDArray[np.int32], table: NDArray[np.uint16]) -> int | None:
    """Map padding to one value of its own place in the table; returns it, or None where there is no padding."""
    if "PixelPaddingValue" not in dataset:
        return None
    one = int(dataset.PixelPaddingValue)
    other = int(dataset.get("PixelPaddingRangeLimit", one))
    padded = (values >= min(one, other)) & (values <= max(one, other))
    if not padded.any():
        return None
    background = int(table[padded][0])
    table[padded] = background
    return background
