"""The tolerances of the known answers, measured with the daemon's own engines."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import InputSpec
from edge.inference.engine import Shapes
from edge.models.manifest import KnownAnswer
from train.data.films import Prepared, model_input
from train.exporting import known_answers, remote_engine

LEAST_TOLERANCE: Final = 1e-3
"""The least tolerance of a known answer: other processors round otherwise."""
UNMEASURED_TOLERANCE: Final = {"float32": 5e-3, "float16": 5e-3, "int8": 0.05}
"""The tolerance of a runtime that was not at hand; int8 is rounded otherwise in each."""
COMPARED: Final = 50
"""The number of films on which another runtime is compared: its int8 takes a second an image."""
MARGIN: Final = 4.0
"""The tolerance over the largest difference measured."""


@dataclass(frozen=True, slots=True)
class KnownAnswers:
    """The known answers of a model file."""

    answers: tuple[KnownAnswer, ...]
    tolerance: dict[str, float]
    """Tolerances by runtime, as the manifest wants them."""
    measured: dict[str, float]
    """The differences behind the tolerances."""


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """An exported file on disk, before it is in a bundle."""

    path: Path
    shapes: Shapes
    spec: InputSpec
    quantization: str


def answer_known(
    file: ExportedFile,
    pictures: Mapping[str, bytes],
    films: Prepared,
    python: Path | None,
    largest: float,
) -> KnownAnswers:
    """
    Give the answers of this file in litert, and how far each runtime may be from them.

    Args:
        file: the exported file.
        pictures: as `known_answers.pictures` gave them.
        films: to compare tflite-runtime on some of, beside the pictures.
        python: of an environment with tflite-runtime; None if there is none.
        largest: difference of a raw score from Keras measured on films.
    """
    tensors = np.concatenate(list(known_answers.tensors(pictures, file.spec).values()))
    raw = remote_engine.scores(file.path, file.shapes, "litert", tensors[:, None])
    other = UNMEASURED_TOLERANCE[file.quantization]
    measured = {}
    if python is not None:
        some = films.images[:: max(1, len(films.images) // COMPARED)]
        images = (model_input(image, file.spec) for image in some)
        measured["max_difference_tflite_runtime"] = _other_runtime(
            python, file, np.concatenate([tensors, *images])
        )
        other = with_margin(measured["max_difference_tflite_runtime"])
    tolerance = {"litert": LEAST_TOLERANCE, "keras": rounded_up(largest), "tflite-runtime": other}
    answers = tuple(
        KnownAnswer(image=name, raw=float(value)) for name, value in zip(pictures, raw, strict=True)
    )
    return KnownAnswers(answers, tolerance, measured)


def with_margin(difference: float) -> float:
    """Take four times a measured difference, rounded up, and at least the least tolerance."""
    return rounded_up(max(MARGIN * difference, LEAST_TOLERANCE))


def rounded_up(difference: float) -> float:
    """Round up to one digit that is not 0; at least a millionth, at most 1."""
    difference = max(difference, 1e-6)
    digit = 10.0 ** math.floor(math.log10(difference))
    return min(1.0, round(math.ceil(difference / digit - 1e-9) * digit, 9))


def _other_runtime(python: Path, file: ExportedFile, tensors: NDArray[np.float32]) -> float:
    here = remote_engine.scores(file.path, file.shapes, "litert", tensors[:, None])
    return float(
        np.abs(
            here
            - remote_engine.scores_elsewhere(
                python, file.path, file.shapes, "tflite-runtime", tensors
            )
        ).max()
    )
