"""Films as the daemon would prepare them, and many of them as arrays."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import InputSpec
from edge.image import Limits, Mammogram, open_mammogram
from edge.preprocess import Batch, prepare, restore_aspect
from train.datasets import Film

_ASPECT_UNIT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """The films that could be read, in the order of the index, and their pixels."""

    films: tuple[Film, ...]
    images: NDArray[np.float16]
    """Shape (n, height, width), 0 = black to 1 = white: the model's input before its range and channels."""
    breast_fraction: NDArray[np.float32]
    contrast: NDArray[np.float32]
    refused: dict[str, str]
    """Name and reason of every film left out."""

    def of(self, films: Iterable[Film]) -> "Prepared":
        """Only these films."""
        wanted = {film.name for film in films}
        keep = np.array([film.name in wanted for film in self.films], dtype=bool)
        kept = tuple(film for film in self.films if film.name in wanted)
        return Prepared(kept, self.images[keep], self.breast_fraction[keep], self.contrast[keep], self.refused)

    @property
    def labels(self) -> NDArray[np.float32]:
        """Shape (n,), 1 for malignant."""
        return np.array([film.malignant for film in self.films], dtype=np.float32)

    @property
    def patients(self) -> NDArray[np.str_]:
        """Shape (n,)."""
        return np.array([film.patient for film in self.films])


def prepare_film(film: Film, spec: InputSpec) -> Batch:
    """One film as the daemon would prepare it; raises what `open_film` raises."""
    return prepare(open_film(film), spec)


def model_input(image: NDArray[np.float16], spec: InputSpec) -> NDArray[np.float32]:
    """From a cached image, shape (height, width), to the model's input, shape (1, height, width, channels)."""
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
    return replace(image, pixels=restore_aspect(image.pixels, round(film.aspect * _ASPECT_UNIT), _ASPECT_UNIT))
