"""Pictures that a worker drew of an image."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Capture:
    """A picture of the map for a PACS, with the score that it shows."""

    rows: int
    columns: int
    pixels: bytes = field(repr=False)
    """Rows of red, green and blue, 8 bits each, compressed by zlib."""
    malignant: float


@dataclass(frozen=True, slots=True)
class Drawn:
    """The pictures that a worker drew of an image, as JPEG; the small one is the map's alone."""

    picture: bytes
    small: bytes
    capture: Capture | None = None
    """None unless it was asked for, and for a model without a map."""
