"""Does the exported file say what Keras said? Measured with the daemon's own engines, on real images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.bundle import KnownAnswer
from edge.engine import Shapes
from train import known, metrics, probe, tflite
from train.datasets import Side
from train.errors import TrainError
from train.films import Prepared, model_input
from train.fitted import Fitted
from train.loop import probabilities
from train.network import PROBABILITY
from train.progress import bar

LEAST_TOLERANCE: Final = 1e-3
"""Of a known answer: other processors round otherwise."""
UNMEASURED_TOLERANCE: Final = 5e-3
"""Of a runtime that was not at hand."""
MARGIN: Final = 4.0
"""A tolerance is this many times the largest difference measured."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One side of the split, scored by the exported file in the daemon's own engine."""

    films: Prepared
    raw: metrics.Floats
    keras: metrics.Floats

    @property
    def difference(self) -> NDArray[np.float64]:
        """|exported - Keras| of each film."""
        return np.abs(self.raw - self.keras)


@dataclass(frozen=True, slots=True)
class Known:
    """The known answers of a model file."""

    answers: tuple[KnownAnswer, ...]
    tolerance: dict[str, float]
    """By runtime, as the manifest wants it."""
    measured: dict[str, float]
    """The differences behind the tolerances."""


def score(fitted: Fitted, side: Side, model: Path) -> Scored:
    """Score one side with the exported file, image by image as the daemon does, and with Keras."""
    films, shapes = fitted.side(side), tflite.shapes(fitted.model, fitted.recipe.input)
    tensors = (model_input(image, fitted.recipe.input) for image in films.images)
    progress = bar(tensors, f"score {side}", len(films.films))
    return Scored(films, probe.scores(model, shapes, "litert", progress), probabilities(fitted.model, films, fitted.recipe))


def compare(largest_allowed: float, validation: Scored, test: Scored) -> dict[str, Any]:
    """
    How far the exported file is from Keras.

    Raises:
        TrainError: further than allowed on any image.
    """
    difference = np.concatenate([validation.difference, test.difference])
    largest = float(difference.max())
    # Written so that a NaN, for which no comparison holds, is refused too.
    if not largest <= largest_allowed:
        msg = (
            f"the exported file differs from Keras by {largest:.4f} on an image, expected at most {largest_allowed:g}; nothing was written"
        )
        raise TrainError(msg)
    return {
        "images": len(difference),
        "max_difference": largest,
        "mean_difference": float(difference.mean()),
        "test_auc_change": metrics.auc(test.films.labels, test.raw) - metrics.auc(test.films.labels, test.keras),
    }


def choose_known(fitted: Fitted) -> dict[str, bytes]:
    """The pictures of the known answers, by their names in the bundle."""
    training = fitted.side("train")
    return known.pictures(known.choose(training.films, probabilities(fitted.model, training, fitted.recipe)))


def answer_known(fitted: Fitted, model: Path, pictures: Mapping[str, bytes], python: Path | None, largest: float) -> Known:
    """
    The answers of this file in litert, and how far each runtime may be from them.

    Args:
        fitted: the run.
        model: the exported file.
        pictures: as `choose_known` gave them.
        python: of an environment with tflite-runtime, to measure that one on the validation images too; or None.
        largest: difference from Keras measured so far.
    """
    tensors = np.concatenate(list(known.tensors(pictures, fitted.recipe.input).values()))
    shapes = tflite.shapes(fitted.model, fitted.recipe.input)
    raw = probe.scores(model, shapes, "litert", tensors[:, None])
    by_keras = np.asarray(fitted.model.predict(tensors, verbose=0)[PROBABILITY])[:, 0]
    measured = {"max_difference_known_answers": float(np.abs(raw - by_keras).max())}
    tolerance = {"litert": LEAST_TOLERANCE, "keras": rounded_up(max(largest, *measured.values())), "tflite-runtime": UNMEASURED_TOLERANCE}
    if python is not None:
        images = (model_input(image, fitted.recipe.input) for image in fitted.side("validation").images)
        other = _other_runtime(python, model, shapes, np.concatenate([tensors, *images]))
        measured["max_difference_tflite_runtime"], tolerance["tflite-runtime"] = other, with_margin(other)
    answers = tuple(KnownAnswer(image=name, raw=float(value)) for name, value in zip(pictures, raw, strict=True))
    return Known(answers, tolerance, measured)


def with_margin(difference: float) -> float:
    """Four times a measured difference, rounded up, and never below the least tolerance."""
    return rounded_up(max(MARGIN * difference, LEAST_TOLERANCE))


def rounded_up(difference: float) -> float:
    """The next number with one digit that is not 0; at least a millionth, at most 1."""
    difference = max(difference, 1e-6)
    digit = 10.0 ** math.floor(math.log10(difference))
    return min(1.0, round(math.ceil(difference / digit - 1e-9) * digit, 9))


def _other_runtime(python: Path, model: Path, shapes: Shapes, tensors: NDArray[np.float32]) -> float:
    here = probe.scores(model, shapes, "litert", tensors[:, None])
    return float(np.abs(here - probe.scores_elsewhere(python, model, shapes, "tflite-runtime", tensors)).max())
