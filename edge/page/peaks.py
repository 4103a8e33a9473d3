"""The peaks of a result's map as the page frames and numbers them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.domain import Box
from edge.inference.explain.labels import places

SIZE: Final = 0.04
"""Height of the numbers' font, as a share of the image's longer side."""
WIDE: Final = 0.75
"""Width of a bold digit, as a share of the font's height; no system's font has wider ones."""
HIGH: Final = 0.75
"""Height of a digit, likewise."""
GAP: Final = 0.25
"""Room between a frame and its number, likewise."""


@dataclass(frozen=True, slots=True)
class Peak:
    """A peak, its frame and the place of its number, in pixels of the image."""

    number: int
    probability: float
    frame: Box
    x: float
    y: float
    """`x` and `y`: the left end of the number's foot."""


@dataclass(frozen=True, slots=True)
class Peaks:
    """The peaks of a map, and the size of their numbers."""

    font: float
    found: tuple[Peak, ...]


def peaks_of(said: Mapping[str, Any]) -> Peaks:
    """Place the numbers of a published result's peaks: none covers another, or a frame."""
    image, findings = said["image"], said.get("findings") or []
    rows, columns = image["rows"], image["columns"]
    font = SIZE * max(rows, columns)
    frames = [Box(*one["box"]) for one in findings]
    sizes = [(WIDE * font * len(str(one)), HIGH * font) for one in range(1, len(frames) + 1)]
    labels = places(frames, sizes, Box(0, 0, columns, rows), GAP * font)
    return Peaks(
        font,
        tuple(
            Peak(number, one["probability"], frame, label.xmin, label.ymax)
            for number, (one, frame, label) in enumerate(
                zip(findings, frames, labels, strict=True), 1
            )
        ),
    )
