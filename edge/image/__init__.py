"""Bytes on disk -> Mammogram: one file per family of formats."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.domain import Identity, ImageFacts


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker is willing to decode."""

    max_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 100_000_000


@dataclass(frozen=True, slots=True)
class Mammogram:
    """Grey pixels after modality LUT, VOI and presentation LUT, and the few tags we use."""

    pixels: NDArray[np.uint8] | NDArray[np.uint16]
    """Shape (rows, columns), bright = dense."""
    facts: ImageFacts
    background: int | None = None
    """DICOM's padding value as it stands in `pixels`: left out of percentiles."""
    identity: Identity | None = None
