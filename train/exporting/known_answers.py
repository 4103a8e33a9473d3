"""Known answers: three training mammograms in the bundle, on which a daemon proves its model."""

from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.domain import InputSpec
from edge.inference.image import Limits, decode
from edge.inference.preprocess import prepare
from train.data.films import Prepared, open_film
from train.data.index import Film
from train.scoring.negatives import gathered

LONGEST_SIDE: Final = 400
"""The longest side of the pictures in the bundle, in pixels."""
QUANTILES: Final = (0.1, 0.5, 0.9)
"""Quantiles of the training scores: a model that answers the same to everything must not pass."""


def choose(films: Sequence[Film], scores: NDArray[np.float64]) -> tuple[Film, ...]:
    """Choose the films whose scores lie at the quantiles, no two of one patient."""
    chosen: list[Film] = []
    ordered = [films[number] for number in np.argsort(scores, kind="stable")]
    for quantile in QUANTILES:
        start = int(quantile * (len(ordered) - 1))
        candidates = ordered[start:] + ordered[:start]
        taken = {film.patient for film in chosen}
        chosen.append(
            next((film for film in candidates if film.patient not in taken), candidates[0])
        )
    return tuple(chosen)


def pictures(films: Sequence[Film]) -> dict[str, bytes]:
    """
    Write small lossless PNGs of some films in their true aspect, by their names in the bundle.
    """
    return {f"known/{number}.png": _png(film) for number, film in enumerate(films, 1)}


def tensors(files: Mapping[str, bytes], spec: InputSpec) -> dict[str, NDArray[np.float32]]:
    """Prepare the pictures as the daemon does, each of shape (1, height, width, channels)."""
    return {name: prepare(decode(data, Limits()), spec).tensor for name, data in files.items()}


def prepared(files: Mapping[str, bytes], spec: InputSpec) -> Prepared:
    """Prepare the pictures without films, for the input gate."""
    return gathered([prepare(decode(data, Limits()), spec) for data in files.values()], spec)


def _png(film: Film) -> bytes:
    pixels = open_film(film).pixels
    scale = min(1.0, LONGEST_SIDE / max(pixels.shape))
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", small, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()
