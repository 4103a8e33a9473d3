"""
Pieces of prepared mammograms, about each lesion and of breast without one.

The recipe `lesion` learns from them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import Box
from train.data.films import Prepared, lesion_boxes
from train.errors import DataError
from train.recipe import Crops

MARGIN: Final = 1.5
"""The side of a piece over the side used, so that turning and shifting shows no black corners."""
BRIGHT: Final = 0.08
"""The mean below which a background piece shows air."""
TRIES: Final = 20


@dataclass(frozen=True, slots=True)
class Pieces:
    """Squares cut out of films, in the scale and tone of the model's input."""

    images: NDArray[np.float16]
    """Shape (n, side, side), 0 = black to 1 = white."""
    labels: NDArray[np.float32]
    """Shape (n,), 1 for malignant; background is 0."""
    lesion: NDArray[np.bool_]
    """Shape (n,): true if the piece shows a lesion."""
    patients: NDArray[np.str_]
    """Shape (n,)."""

    def middle(self, size: int) -> NDArray[np.float16]:
        """Cut off the margin: shape (n, size, size)."""
        start = (self.images.shape[1] - size) // 2
        return self.images[:, start : start + size, start : start + size]


def cut(films: Prepared, crops: Crops, seed: int) -> Pieces:
    """
    Cut one piece about each lesion, and `crops.background` times as many elsewhere.

    The background pieces are drawn by the seed: same films, same seed, same pieces.

    Raises:
        DataError: the films come without lesion boxes.
    """
    side = math.ceil(crops.size * MARGIN / 2) * 2
    generator = np.random.default_rng(seed)
    found: list[tuple[NDArray[np.float16], float, bool, str]] = []
    for number, film in enumerate(films.films):
        image, patient = films.images[number], film.patient
        pairs = zip(film.lesions, lesion_boxes(film, films.geometry[number]), strict=True)
        seen = [
            (lesion, box) for lesion, box in pairs if box.xmax > box.xmin and box.ymax > box.ymin
        ]
        used = [
            (lesion, box) for lesion, box in seen if crops.abnormality in (None, lesion.abnormality)
        ]
        found += [
            (_about(image, *_centre(box), side), float(lesion.label == "malignant"), True, patient)
            for lesion, box in used
        ]
        wanted = generator.poisson(crops.background * len(used))
        places = _elsewhere(image, [box for _, box in seen], crops.size, generator)
        found += [
            (_about(image, *place, side), 0.0, False, patient)
            for place, _ in zip(places, range(wanted), strict=False)
        ]
    if not any(lesion for _, _, lesion, _ in found):
        msg = (
            f"no lesion box in {len(films.films)} films, expected an index with "
            "<name>-lesions.csv beside it, or CBIS-DDSM with its masks"
        )
        raise DataError(msg)
    images, truth, lesions, patients = zip(*found, strict=True)
    return Pieces(
        np.stack(images), np.array(truth, np.float32), np.array(lesions), np.array(patients)
    )


def _centre(box: Box) -> tuple[float, float]:
    return (box.xmin + box.xmax) / 2, (box.ymin + box.ymax) / 2


def _about(image: NDArray[np.float16], x: float, y: float, side: int) -> NDArray[np.float16]:
    """Cut a square about a point; what lies outside of the image is black."""
    padded = np.pad(image, side)
    top, left = round(y) + side // 2, round(x) + side // 2
    return padded[top : top + side, left : left + side]


def _elsewhere(
    image: NDArray[np.float16], boxes: list[Box], size: int, generator: np.random.Generator
) -> Iterator[tuple[float, float]]:
    """
    Draw points inside the breast whose piece shows no middle of a lesion.

    There are fewer than asked for if there is no room.
    """
    rows, columns = image.shape
    for _ in range(TRIES):
        x, y = generator.uniform(0, columns), generator.uniform(0, rows)
        top, left = (max(0, round(middle) - size // 4) for middle in (y, x))
        breast = (
            float(image[top : top + size // 2, left : left + size // 2].astype(np.float32).mean())
            > BRIGHT
        )
        if breast and not any(
            abs(x - bx) < size / 2 and abs(y - by) < size / 2 for bx, by in map(_centre, boxes)
        ):
            yield x, y
