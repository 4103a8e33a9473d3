"""The decoded picture, and the limits that it is decoded under."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.domain import Domain, Identity, ImageFacts, Implants, Provenance
from edge.errors import ImageRejected, Reason

Pixels: TypeAlias = NDArray[np.unsignedinteger[Any]]
"""uint8 or uint16."""


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
    mammography: bool = False
    """True if the header says that this is a mammogram: Modality MG."""
    domain: Domain | None = None
    """The kind of machine by the header; None if the header does not tell."""
    provenance: Provenance | None = None


class ObjectRejected(ImageRejected):
    """
    A DICOM object that gets no score, although its header says which one it is.

    Args:
        rejected: the reason and its detail.
        identity: the UIDs of the object; None if they cannot be read.
    """

    def __init__(self, rejected: ImageRejected, identity: Identity | None) -> None:
        super().__init__(rejected.reason, rejected.detail)
        self.identity = identity


def check_size(rows: int, columns: int, limits: Limits) -> None:
    """
    Refuse a picture by its header, before memory is spent on it.

    Raises:
        ImageRejected: the picture has no pixels, or more than the limit.
    """
    if rows < 1 or columns < 1:
        raise ImageRejected(Reason.NO_PIXELS, f"the picture is {rows} x {columns} pixels")
    if rows * columns > limits.max_pixels:
        detail = f"{rows} x {columns} = {rows * columns} pixels, the limit is {limits.max_pixels}"
        raise ImageRejected(Reason.TOO_LARGE, detail)


def bits(pixels: Pixels) -> int:
    """
    Return the bits that hold the largest value, at least 8.

    Pictures of 12 bits come in files of 16.
    """
    return max(8, int(pixels.max()).bit_length())
