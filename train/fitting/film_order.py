"""
The film that each place of each batch shows, a function of the seed and the place.

Films and digital mammograms take turns, and of the digital ones malignant and benign: screening
sets have a hundred benign mammograms for each malignant one, and a network that saw them in that
proportion would take what a detector makes for a sign of health. Each kind goes through epochs of
its own.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.data.films import Prepared
from train.recipe import Dense

Rows = NDArray[np.intp]
"""Places of films in `Prepared`, shape (n,)."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """Films that take turns among themselves."""

    number: int
    always: Rows
    """The films that each epoch shows."""
    some: tuple[tuple[Rows, float], ...] = ()
    """Films of which each epoch shows a share."""

    @property
    def counts(self) -> list[int]:
        return [round(len(films) * share) for films, share in self.some]

    @property
    def size(self) -> int:
        """Films an epoch."""
        return len(self.always) + sum(self.counts)

    def film(self, place: int, seed: int) -> int:
        """Give the film of a place, in another order each epoch."""
        epoch, row = divmod(place, self.size)
        # The first kind's numbers are those of a training on it alone.
        generator = np.random.default_rng([seed, epoch, *([self.number] if self.number else [])])
        chosen = [
            generator.permutation(films)[:count]
            for (films, _), count in zip(self.some, self.counts, strict=True)
        ]
        return int(generator.permutation(np.concatenate([self.always, *chosen]))[row])


class Order:
    """
    The order of the films of a training.

    Args:
        films: to learn from.
        mass: shape (n,), true for films with a mass; of the other scanned films and of smaller
            copies a share takes part in each epoch.
        how: the shares.
        seed: of the recipe.
    """

    def __init__(self, films: Prepared, mass: NDArray[np.bool_], how: Dense, seed: int) -> None:
        self._seed = seed
        digital, copy = is_digital(films), smaller_copies(films)
        malignant = films.labels > 0
        shares = (
            (np.flatnonzero(~mass & ~copy & ~digital), how.calcifications),
            (np.flatnonzero(copy & ~digital), how.copies),
        )
        scanned = _Kind(0, np.flatnonzero(mass & ~copy & ~digital), shares)
        bad, good = (
            _Kind(number, np.flatnonzero(digital & which))
            for number, which in ((1, malignant), (2, ~malignant))
        )
        turns = (scanned, bad, scanned, good) if scanned.size else (bad, good)
        self._turns = [kind for kind in turns if kind.size]
        if not digital.any():
            self._turns = [scanned]

    def film(self, place: int) -> int:
        """Give the film of a place, counted over all batches from 0."""
        round_, turn = divmod(place, len(self._turns))
        numbers = [kind.number for kind in self._turns]
        its, before = numbers.count(numbers[turn]), numbers[:turn].count(numbers[turn])
        return self._turns[turn].film(round_ * its + before, self._seed)


def is_digital(films: Prepared) -> NDArray[np.bool_]:
    """Tell which films are known to be digital mammograms, shape (n,)."""
    return np.array([film.domain == "digital" for film in films.films], dtype=bool)


def smaller_copies(films: Prepared) -> NDArray[np.bool_]:
    """
    Find the films that another one shows at a higher resolution, as pooled data sets have them.

    Films are one and the same if patient, laterality, view and file name (without its ending) are.

    Returns:
        Shape (n,).
    """
    names = [
        (film.patient, film.laterality, film.view, Path(film.name).stem) for film in films.films
    ]
    pixels = [place.rows * place.columns for place in films.geometry]
    largest: dict[tuple[str | None, ...], int] = {}
    for name, size in zip(names, pixels, strict=True):
        largest[name] = max(size, largest.get(name, 0))
    return np.array(
        [size < largest[name] for name, size in zip(names, pixels, strict=True)], dtype=bool
    )
