"""DICOM files -> Mammogram; docs/reference/dicom.md says how."""

import logging
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

import pydicom
from pydicom import Dataset
from pydicom.datadict import dictionary_description

from edge.domain import Flag, Identity, ImageFacts
from edge.errors import ImageRejected, Reason
from edge.inference.image import (
    aspect,
    eligibility,
    groups,
    machine,
    part10,
    presentation,
    stored,
    tags,
    transfer_syntax,
)
from edge.inference.image.attributes import WRONG, number, text
from edge.inference.image.depth import Depth
from edge.inference.image.frame import Buffer
from edge.inference.image.mammogram import Limits, Mammogram, ObjectRejected, check_size
from edge.inference.image.provenance import provenance_of

logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # it quotes values
pydicom.config.settings.reading_validation_mode = (
    pydicom.config.IGNORE
)  # a wrong VR somewhere is no reason to read no pixels

MAX_BITS: Final = 16
REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."
"""The beginning of the SOP classes of structured reports."""
WHILE_READING: Final[Mapping[Flag, str]] = {
    "unapplied-lut": "a modality LUT, rescale, VOI LUT, window or presentation LUT that makes "
    "no sense is left out, or a table is shorter or longer than it says",
    "non-square-pixels": "pixels that are not square could not be made so",
}
"""Flags that do not stand in the header: what could not be done as it says."""

with suppress(ImportError):
    import gdcm

    for _off in (gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff, gdcm.Trace.DebugOff):
        _off()


def has_prefix(data: Buffer) -> bool:
    """Tell if these bytes are a DICOM file as PS3.10 has it."""
    return part10.is_dicom(data)


def decode(data: Buffer, limits: Limits) -> Mammogram | None:
    """
    Decode a DICOM file: one grey frame after modality LUT, VOI and presentation LUT.

    Returns:
        Pixels of shape (rows, columns), uint8 or uint16 as they were stored, bright = dense. None:
        it is no DICOM file.

    Raises:
        ObjectRejected: it is one, but gets no score.
        ImageRejected: it is one, but its header cannot be read.
    """
    with _broken("header", at_its_end=Reason.TRUNCATED):
        syntax = part10.transfer_syntax(data)
        if syntax is not None and part10.is_dicom(data) and not transfer_syntax.is_known(syntax):
            raise ImageRejected(Reason.UNSUPPORTED_TRANSFER_SYNTAX, transfer_syntax.name(syntax))
        file = part10.read(data, limits.max_bytes)
    if file is None:
        return None
    try:
        return _decode(file, limits)
    except ImageRejected as rejected:
        raise ObjectRejected(rejected, _identity(file.header)) from None


def _decode(file: part10.File, limits: Limits) -> Mammogram:
    with _broken("header"):
        groups.bring_up(file.header)
        flags = eligibility.look_at(file.header, limits.implants)
        pixels = part10.pixel_data(file)
        _check(file.header, limits)
        depth = _depth(file.header)
    with _broken("pixel data"):
        values, depth, syntax_name = stored.read(file, pixels, depth)
        shown = presentation.present(file.header, values, depth)
        square = aspect.squared(file.header, shown.pixels, limits)
    picture = shown.pixels if square is None else square
    undone = {"unapplied-lut": not shown.complete, "non-square-pixels": square is None}
    flags += tuple(flag for flag in WHILE_READING if undone[flag])
    with _broken("header"):
        facts = _facts(file.header, picture.shape, depth, syntax_name, flags)
        identity = tags.identity(file.header)
        domain = machine.domain_of(file.header)
        mammography = machine.is_mammography(file.header)
        provenance = provenance_of(file.header)
    return Mammogram(
        picture, facts, shown.background, identity, shown.white, mammography, domain, provenance
    )


@contextmanager
def _broken(what: str, at_its_end: Reason = Reason.UNREADABLE) -> Iterator[None]:
    """
    Turn whatever a damaged file makes of the libraries into a rejection without a word of the file.

    Args:
        what: the part of the file.
        at_its_end: the reason if bytes are missing: those of the file, or of a value inside it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (ImageRejected, MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except (EOFError, struct.error):
        raise ImageRejected(at_its_end, f"the DICOM ends inside its {what}") from None
    # pydicom and its plug-ins raise anything; a panic in pylibjpeg-rle (Rust) is no Exception
    except BaseException as error:  # noqa: BLE001
        detail = f"the DICOM's {what} cannot be read ({type(error).__name__})"
        raise ImageRejected(Reason.UNREADABLE, detail) from None


def _identity(header: Dataset) -> Identity | None:
    """
    Read the UIDs of an object that gets no score; None if they cannot be read.

    None also of a structured report, and of what we made ourselves: it is no view of its study's
    exam, and if it changed the exam when it came back, another report would follow.
    """
    try:
        with _broken("header"):
            is_report = str(header.get("SOPClassUID", "")).startswith(REPORTS)
            no_view = is_report or eligibility.is_own(header)
            return None if no_view else tags.identity(header)
    except ImageRejected:
        return None


def _check(header: Dataset, limits: Limits) -> None:
    frames, samples = (_whole(header, each) or 1 for each in ("NumberOfFrames", "SamplesPerPixel"))
    if frames > 1:
        detail = f"it has {frames} frames, expected one: tomosynthesis is not supported"
        raise ImageRejected(Reason.MULTI_FRAME, detail)
    if samples != 1:
        raise ImageRejected(Reason.COLOUR, f"it has {samples} samples per pixel, expected 1")
    if text(header, "PhotometricInterpretation") == "PALETTE COLOR":
        detail = "its pixels point into a palette of colours, expected grey"
        raise ImageRejected(Reason.COLOUR, detail)
    check_size(_whole(header, "Rows"), _whole(header, "Columns"), limits)


def _depth(header: Dataset) -> Depth:
    allocated = _whole(header, "BitsAllocated")
    if not allocated:
        detail = f"Bits Allocated is absent, expected 8 or {MAX_BITS}"
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    stored = _whole(header, "BitsStored") or allocated
    if allocated not in {8, MAX_BITS} or not 1 <= stored <= allocated:
        detail = (
            f"{allocated} bits allocated and {stored} stored, "
            f"expected 8 or {MAX_BITS} and at most as many"
        )
        raise ImageRejected(Reason.UNSUPPORTED_FORMAT, detail)
    high_bit = header.get("HighBit")
    high_bit = stored - 1 if high_bit is None else _whole(header, "HighBit")
    return Depth(allocated, stored, high_bit, bool(_whole(header, "PixelRepresentation")))


def _whole(header: Dataset, keyword: str) -> int:
    """Read one whole number, 0 for one that is absent or empty."""
    try:
        value = header.get(keyword) or 0
        return int(value if isinstance(value, int) else number(header, keyword) or 0)
    except WRONG:
        name = dictionary_description(keyword)
        raise ImageRejected(Reason.UNREADABLE, f"{name} is no whole number") from None


def _facts(
    header: Dataset, shape: tuple[int, ...], depth: Depth, syntax: str, flags: tuple[Flag, ...]
) -> ImageFacts:
    return ImageFacts(
        rows=shape[0],
        columns=shape[1],
        bits=depth.stored,
        photometric=presentation.photometric(header),
        format="dicom",
        laterality=tags.laterality(header),
        view=tags.view(header),
        transfer_syntax=syntax,
        flags=flags,
    )
