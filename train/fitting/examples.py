"""Some films of training, as the dense network takes them, to see what its layers do."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from train.data.films import Prepared


def examples(films: Prepared, about: int, channels: int) -> Iterator[NDArray[np.float32]]:
    """
    Give about so many films, evenly spread: each (1, height, width, channels), -1 to 1.

    Args:
        films: as prepared.
        about: the number, or all of them if there are no more.
        channels: of the network's input.
    """
    for film in films.images[:: max(1, len(films.images) // about)]:
        yield np.repeat(film.astype(np.float32)[None, ..., None] * 2 - 1, channels, axis=-1)
