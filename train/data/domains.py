"""The domain of films: as the data set says, else as the daemon would tell."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge.domain import Domain
from edge.inference.origin import domain_by_pixels, known_domain
from edge.inference.segmentation import segment
from train.data.films import open_film
from train.data.index import Film
from train.data.parallel import Engine, on_this_machine


def domains_of(films: Sequence[Film], engine: Engine | None = None) -> NDArray[np.str_]:
    """
    Tell the domain of each film, shape (n,).

    Args:
        films: those whose data set does not say are decoded, which takes a while.
        engine: does that; all cores of this machine unless told otherwise.

    Raises:
        ImageRejected: one cannot be decoded; those of a `Prepared` can.
        Unavailable: a file is gone.
    """
    found: list[Domain] = [film.domain or "unknown" for film in films]
    silent = [number for number, film in enumerate(films) if film.domain is None]
    jobs = [(films[number],) for number in silent]
    for place, domain in (engine or on_this_machine)(_domain_of, jobs):
        found[silent[place]] = domain
    return np.array(found, np.str_)


def _domain_of(film: Film) -> Domain:
    image = open_film(film)
    found = segment(image)
    return known_domain(image, domain_by_pixels(found.small, found.breast))[0]
