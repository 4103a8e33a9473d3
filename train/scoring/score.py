"""
Films scored by a model file, through the daemon's own engine.

Calibration, gate, parity and evaluation all start from these scores.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.domain import InputSpec
from edge.inference.engine import Scores, Shapes, open_engine
from edge.models.manifest import Manifest
from train.data.films import Prepared, model_input
from train.progress import bar
from train.stats.metrics import Floats

Maps: TypeAlias = NDArray[np.float32]
Features: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Scored:
    """The outputs of one model file for some films, in their order."""

    films: Prepared
    raw: Floats
    """Shape (n,), the probability output, not calibrated."""
    maps: Maps
    """The logit maps, shape (n, rows, columns); (n, 0, 0) if the model has no such output."""
    features: Features | None
    """Shape (n, channels), or None if the model has no such output."""

    def only(self, keep: NDArray[np.bool_]) -> "Scored":
        """Keep some of the films, by a mask of shape (n,)."""
        films = self.films.of(
            film for film, kept in zip(self.films.films, keep, strict=True) if kept
        )
        return Scored(
            films,
            self.raw[keep],
            self.maps[keep],
            None if self.features is None else self.features[keep],
        )


def score_file(model_path: Path, shapes: Shapes, films: Prepared, spec: InputSpec) -> Scored:
    """
    Score films one by one in litert, as the daemon does.

    Args:
        model_path: a .tflite file.
        shapes: of its input and outputs.
        films: as `prepare` cached them.
        spec: the model's input.

    Raises:
        ModelError: the file cannot be loaded, or is not what the shapes say.
    """
    engine = open_engine("litert", model_path, shapes)
    images = bar(films.images, f"score with {model_path.name}", len(films.images))
    return gathered(films, [engine.infer(model_input(image, spec)) for image in images])


def gathered(films: Prepared, scores: list[Scores]) -> Scored:
    """Put the answers for some films into arrays."""
    raw = np.array([score.raw for score in scores], dtype=np.float64)
    maps = [score.logit_map for score in scores if score.logit_map is not None]
    features = [score.features for score in scores if score.features is not None]
    nothing = np.zeros((len(scores), 0, 0), np.float32)
    return Scored(
        films, raw, np.stack(maps) if maps else nothing, np.stack(features) if features else None
    )


def shapes_of(manifest: Manifest) -> Shapes:
    """Give input and outputs of every model file of a bundle."""
    spec, outputs = manifest.input, manifest.outputs
    return Shapes(
        (1, spec.height, spec.width, spec.channels),
        outputs.probability,
        outputs.logit_map,
        outputs.features,
        outputs.pooling,
        spec.low,
    )
