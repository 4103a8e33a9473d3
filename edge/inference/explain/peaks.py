"""A map of which the highest cell is the score: as probabilities, with frames about its peaks."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain import Box, Finding, HeatMap, InputSpec
from edge.inference.explain.canvas import TEXT, Picture, blank, width_of, write
from edge.inference.explain.colours import YELLOW
from edge.inference.explain.labels import places
from edge.inference.explain.overlay import blended, on_panel
from edge.inference.preprocess import Batch
from edge.models.manifest import Platt

HOLES: Final = 9
"""Side of the closing, in pixels of the input: dark fat inside the breast is coloured too."""
SIZE: Final = 0.55
"""Of the probabilities beside the frames."""
HIGH: Final = 13.0
"""Pixels from the foot to the top of a digit of that size."""
GAP: Final = 6.0
"""Pixels between a frame and its probability."""


def over(
    film: Picture, heatmap: HeatMap, batch: Batch, spec: InputSpec, calibration: Platt
) -> Picture:
    """Blend red over a film as strongly as each place is probable; nothing beside the breast."""
    left, top, right, bottom = on_panel(heatmap.box, batch.geometry, film.shape)
    size = right - left, bottom - top
    chances = _sigmoid(calibration.slope * np.array(heatmap.values) + calibration.intercept)
    smooth = cv2.resize(chances, size, interpolation=cv2.INTER_LINEAR)
    breast = cv2.resize(breast_of(batch, spec), size, interpolation=cv2.INTER_NEAREST)
    drawn = film.copy()
    drawn[top:bottom, left:right] = blended(
        film[top:bottom, left:right], np.asarray(smooth * breast, np.float32)
    )
    return drawn


def framed(film: Picture, findings: Sequence[Finding], batch: Batch) -> Picture:
    """Draw a frame about each peak, with its probability; all of it on the cut-out."""
    drawn = film.copy()
    frames = [Box(*on_panel(one.box, batch.geometry, film.shape)) for one in findings]
    for frame in frames:
        left, top, right, bottom = (round(end) for end in astuple(frame))
        cv2.rectangle(drawn, (left, top), (right - 1, bottom - 1), YELLOW, 2)
    texts = [f"{one.probability:.3f}" for one in findings]
    sizes = [(float(width_of(text, SIZE)), HIGH) for text in texts]
    cut_out = Box(*on_panel(batch.geometry.box, batch.geometry, film.shape))
    for text, place in zip(texts, places(frames, sizes, cut_out, GAP), strict=True):
        write(drawn, text, round(place.xmin), round(place.ymax), SIZE, YELLOW)
    return drawn


def scale(height: int) -> Picture:
    """Draw the colours on mid grey, from probability 1 down to 0, with their meaning."""
    words = [(18, "1"), (46, "probability"), (74, "if this place"), (102, "were highest")]
    found = blank(height, 38 + max(width_of(text, 0.6) for _, text in words))
    strength = np.tile(np.linspace(1, 0, height, dtype=np.float32)[:, None], (1, 28))
    found[:, :28] = blended(np.full((height, 28, 3), 96, np.uint8), strength)
    for y, text in [*words, (height - 6, "0")]:
        write(found, text, 38, y, 0.6, TEXT)
    return found


def breast_of(batch: Batch, spec: InputSpec) -> NDArray[np.uint8]:
    """Return the breast on the cut-out, as the original lies: 1 inside, 0 beside it."""
    place = batch.geometry
    rows, columns = slice(place.top, place.top + place.height), slice(0, place.width)
    lit = (batch.tensor[0, rows, columns, 0] > spec.low).astype(np.uint8)
    whole = cv2.morphologyEx(lit, cv2.MORPH_CLOSE, np.ones((HOLES, HOLES), np.uint8))
    return np.asarray(whole[:, ::-1] if place.flipped else whole, np.uint8)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(0.5 + 0.5 * np.tanh(logits / 2), np.float32)
