"""The films as the daemon would prepare them, and many of them as arrays."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import compress
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import Box, InputSpec
from edge.inference.geometry import Geometry
from edge.inference.image import Limits, Mammogram, open_mammogram
from edge.inference.preprocess import Batch, prepare, restore_aspect
from train.data.index import Film

_ASPECT_UNIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """The films that could be read, in the order of the index, and their pixels."""

    films: tuple[Film, ...]
    images: NDArray[np.float16]
    """
    Shape (n, height, width), float16, 0 = black to 1 = white.

    They are the model's input before its range and channels.
    """
    breast_fraction: NDArray[np.float32]
    contrast: NDArray[np.float32]
    refused: dict[str, str]
    """The reason of every film left out, by its name."""
    geometry: tuple[Geometry, ...] = ()
    """The way from the pixels of each film's file, as it is stored, to those of `images`."""

    def of(self, films: Iterable[Film]) -> "Prepared":
        """Pick some of the films."""
        wanted = {film.name for film in films}
        keep = np.array([film.name in wanted for film in self.films], dtype=bool)
        kept = tuple(film for film in self.films if film.name in wanted)
        geometry = tuple(compress(self.geometry, keep))
        return Prepared(
            kept,
            self.images[keep],
            self.breast_fraction[keep],
            self.contrast[keep],
            self.refused,
            geometry,
        )

    @property
    def labels(self) -> NDArray[np.float32]:
        """Give 1 for malignant and 0 for benign, shape (n,)."""
        return np.array([film.malignant for film in self.films], dtype=np.float32)

    @property
    def patients(self) -> NDArray[np.str_]:
        """Give the patient of each film, shape (n,)."""
        return np.array([film.patient for film in self.films])


def prepare_film(film: Film, spec: InputSpec) -> Batch:
    """
    Prepare one film as the daemon would; raises what `open_film` raises.

    Its geometry speaks of the file as it is stored, if that has another aspect than the film:
    lesion boxes and heat maps do too.
    """
    image = open_film(film)
    batch = prepare(image, spec)
    return replace(
        batch, geometry=_of_the_file(batch.geometry, image.facts.rows, image.facts.columns)
    )


def _of_the_file(geometry: Geometry, rows: int, columns: int) -> Geometry:
    """Express the crop in pixels of a file of rows x columns, from which the film was stretched."""
    x, y, box = columns / geometry.columns, rows / geometry.rows, geometry.box
    return replace(
        geometry,
        rows=rows,
        columns=columns,
        box=Box(box.xmin * x, box.ymin * y, box.xmax * x, box.ymax * y),
    )


def lesion_boxes(film: Film, geometry: Geometry) -> tuple[Box, ...]:
    """
    Place the film's lesions in the model's input.

    Args:
        film: with its lesions, in pixels of the file as it is stored.
        geometry: of the same film, from `Prepared.geometry` or `prepare_film`.

    Returns:
        One box a lesion, in their order, in pixels of the input (height, width), cut off where the
        breast crop ends; a lesion outside the crop gives a box without area.
    """
    return tuple(_in_input(lesion.box, geometry) for lesion in film.lesions)


def _in_input(box: Box, geometry: Geometry) -> Box:
    crop = geometry.box
    left, right = (
        np.clip((np.array([box.xmin, box.xmax]) - crop.xmin) / (crop.xmax - crop.xmin), 0, 1)
        * geometry.width
    )
    top, bottom = (
        np.clip((np.array([box.ymin, box.ymax]) - crop.ymin) / (crop.ymax - crop.ymin), 0, 1)
        * geometry.height
    )
    if geometry.flipped:
        left, right = geometry.width - right, geometry.width - left
    return Box(
        float(left + geometry.left),
        float(top + geometry.top),
        float(right + geometry.left),
        float(bottom + geometry.top),
    )


def model_input(image: NDArray[np.float16], spec: InputSpec) -> NDArray[np.float32]:
    """Turn a cached image (height, width) into the model's input (1, height, width, channels)."""
    picture = image.astype(np.float32) * np.float32(spec.high - spec.low) + np.float32(spec.low)
    return np.repeat(picture[None, :, :, None], spec.channels, axis=-1)


def open_film(film: Film) -> Mammogram:
    """
    Decode one film and give it its true aspect back.

    Raises:
        ImageRejected: these bytes are no mammogram to us.
        Unavailable: the file cannot be read.
    """
    image = open_mammogram(film.path, Limits())
    if film.aspect is None:
        return image
    return replace(
        image, pixels=restore_aspect(image.pixels, round(film.aspect * _ASPECT_UNIT), _ASPECT_UNIT)
    )
