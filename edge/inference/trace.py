"""One examination with its intermediate products, for those who time, draw or study it."""

from dataclasses import dataclass

from edge.domain import Outcome
from edge.inference.image.mammogram import Mammogram
from edge.inference.preprocess import Batch
from edge.models.manifest import Platt


@dataclass(frozen=True, slots=True)
class Trace:
    """One examination, as far as it came."""

    outcome: Outcome
    image: Mammogram | None = None
    """The decoded picture; None if the file could not be decoded."""
    batch: Batch | None = None
    """The model's input; None if none was prepared."""
    calibration: Platt | None = None
    """The way from the map's logits to probabilities; None if the image has no score."""
