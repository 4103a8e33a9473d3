"""
The picture of a map that a PACS gets: what may be shown of it stands in its pixels.

A PACS passes pictures on, and few people read what a header says.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge.domain import Prediction, Result
from edge.drawn import Capture
from edge.inference.explain.canvas import (
    MARGIN,
    TEXT,
    Picture,
    blank,
    broken,
    row,
    widened,
    write,
)
from edge.inference.explain.caption import WITHHELD, foot_of
from edge.inference.explain.colours import FAINT, YELLOW
from edge.inference.explain.drawing import WIDTH
from edge.models.manifest import Manifest
from edge.models.pointing import pointing_of

RESEARCH: Final = "research, not for diagnosis"
SIDES: Final = {"L": "left breast", "R": "right breast", None: "side unknown"}
QUICK: Final = 1
"""The level of zlib."""


@dataclass(frozen=True, slots=True)
class Caption:
    """The words below a map: of which image and model it is, and how such maps point."""

    image_id: str
    model: str
    pointing: str


def caption_of(image_id: str, manifest: Manifest) -> Caption:
    """Say what is known of a bundle's maps."""
    played = pointing_of(manifest)
    pointing = (
        "Nobody measured if the map points at lesions."
        if played is None
        else f"The highest point of such maps lay {played.words}; "
        "a map of a benign image, or of another kind of image, was not measured so."
    )
    return Caption(image_id, f"{manifest.name} {manifest.version}", pointing)


def capture_of(panels: Sequence[Picture], result: Result, caption: Caption) -> Capture:
    """
    Write side, view, score, model and notice about the panels of a map.

    Args:
        panels: of one height.
        result: that they show.
        caption: the words below.
    """
    body = row(panels)
    width = max(WIDTH, body.shape[1])
    picture = np.vstack(
        [
            _head(result, width),
            widened(body, width),
            _pointing(caption.pointing, width),
            foot_of(result, caption.image_id, caption.model, width),
        ]
    )
    pixels = zlib.compress(np.ascontiguousarray(picture[:, :, ::-1]).tobytes(), QUICK)
    return Capture(picture.shape[0], width, pixels, result.prediction.malignant)


def _head(result: Result, width: int) -> Picture:
    reason = _withheld(result.prediction, width)
    head = blank(150 + 38 * len(reason), width)
    write(head, RESEARCH, MARGIN, 46, 1.2, YELLOW, 2)
    facts = result.facts
    write(head, f"{SIDES[facts.laterality]}, {facts.view or 'view unknown'}", MARGIN, 88, 0.8, TEXT)
    score = f"calibrated probability of malignancy: {result.prediction.malignant:.3f}"
    write(head, score, MARGIN, 126, 0.8, TEXT)
    for number, line in enumerate(reason):
        write(head, line, MARGIN, 164 + 38 * number, 0.8, YELLOW)
    return head


def _withheld(prediction: Prediction, width: int) -> list[str]:
    """Say why the image has no label: a map without it would say more than the result."""
    if prediction.withheld is None or prediction.origin is None:
        return []
    return broken(WITHHELD[prediction.withheld].format(domain=prediction.origin.domain), width, 0.8)


def _pointing(words: str, width: int) -> Picture:
    lines = broken(words, width, 0.62)
    bar = blank(20 + 30 * len(lines), width)
    for number, line in enumerate(lines):
        write(bar, line, MARGIN, 36 + 30 * number, 0.62, FAINT)
    return bar
