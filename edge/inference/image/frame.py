"""The types of a DICOM frame on its way from a file to an array."""

from mmap import mmap
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID

from edge.errors import ImageRejected

Buffer: TypeAlias = bytes | mmap
"""The bytes of a file, read or mapped."""
Stored: TypeAlias = NDArray[np.integer[Any]]
"""Shape (rows, columns), 8 or 16-bit integers."""


class Frame(NamedTuple):
    """A compressed frame."""

    data: bytes
    ending: ImageRejected
    """The rejection that is due if the frame turns out not to be whole."""


class FrameHeader(NamedTuple):
    """A frame's own description of itself."""

    kind: str
    """The codec's name."""
    rows: int = 0
    columns: int = 0
    channels: int = 1
    bits: int = 0
    """The bits of a sample; 0 for run lengths, which do not tell it, nor their size."""
    signed: bool = False


class Decoded(NamedTuple):
    """A decoded frame."""

    values: Stored
    """Shape (rows, columns) of the header, as they were stored."""
    header: FrameHeader
    syntax: UID
    """The transfer syntax that the frame really is in."""
