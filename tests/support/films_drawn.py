"""Make films without pictures, for tests of labels, patients and scores."""

from pathlib import Path
from typing import Any

import numpy as np

from edge.domain import Box
from edge.inference.geometry import Geometry
from train.data.datasets import Film, Lesion
from train.data.films import Prepared
from train.scoring.judge import Judged


# any of Film's fields
def film(number: int, *, malignant: bool, **known: Any) -> Film:  # noqa: ANN401
    """Make a film of a patient of its own, unless told otherwise."""
    values = {"patient": f"p{number}", **known}
    return Film(
        path=Path(f"{number}.png"),
        name=f"{number}.png",
        label="malignant" if malignant else "benign",
        **values,
    )


def judged(films: list[Film], scores: list[float], refused: list[bool] | None = None) -> Judged:
    """Pair films with their calibrated scores."""
    shut = np.array(refused or [False] * len(films))
    return Judged(tuple(films), np.where(shut, np.nan, scores), np.array(scores), shut)


def prepared(
    films: list[Film], images: np.ndarray[Any, Any], geometry: Geometry | None = None
) -> Prepared:
    """Pair films with pictures of shape (n, height, width), half covered by breast."""
    count, height, width = images.shape
    whole = geometry or Geometry(
        height,
        width,
        flipped=False,
        box=Box(0, 0, width, height),
        top=0,
        left=0,
        height=height,
        width=width,
    )
    half = np.full(count, 0.5, np.float32)
    return Prepared(tuple(films), images.astype(np.float16), half, half, {}, (whole,) * count)


def lesion(xmin: float, ymin: float, xmax: float, ymax: float, *, malignant: bool = True) -> Lesion:
    """Make a mass with its box in pixels of the file."""
    return Lesion(
        label="malignant" if malignant else "benign",
        abnormality="mass",
        box=Box(xmin, ymin, xmax, ymax),
    )
