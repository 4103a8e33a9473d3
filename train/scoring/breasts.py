"""Films as views of breasts, and the calibration of breasts of which both views are there."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from edge.domain import Domain, Laterality
from edge.models.breasts import PROJECTIONS, View, mean_of
from edge.models.manifest import DomainFit
from train.data.index import Film
from train.progress import say
from train.scoring import calibration
from train.scoring.measured import KNOWN, LEAST
from train.stats.metrics import Floats

SIDE_OF: Final[Mapping[str, Laterality]] = {"L": "L", "LEFT": "L", "R": "R", "RIGHT": "R"}


def view_of(film: Film, raw: float, domain: Domain) -> View:
    """Take a film with its raw score as the daemon takes an image of an exam."""
    side = SIDE_OF.get((film.laterality or "").upper())
    return View(raw, domain, side, film.view.upper() if film.view else None)


def pairs(films: Sequence[Film]) -> dict[tuple[str, str], list[int]]:
    """List the places of the CC and MLO films of each breast that has both, by patient and side."""
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    views = [view_of(film, 0.5, "unknown") for film in films]
    for number, (film, view) in enumerate(zip(films, views, strict=True)):
        if view.laterality and view.projection:
            found[film.patient, view.laterality].append(number)
    return {
        breast: members
        for breast, members in found.items()
        if len({views[number].projection for number in members}) == len(PROJECTIONS)
    }


def fits(  # noqa: PLR0913, PLR0917 - films, and the rule of the operating points
    films: Sequence[Film],
    raw: Floats,
    domains: NDArray[np.str_],
    sensitivity: float,
    undecided: float,
    data: str,
) -> dict[Domain, DomainFit]:
    """
    Calibrate breasts, each domain by itself, on the mean of the raw logits of CC and MLO.

    A breast is malignant if one of its films is.

    Args:
        films: those that the gate lets pass.
        raw: shape (n,), the raw scores of the file.
        domains: shape (n,).
        sensitivity: of the default operating point.
        undecided: share of the breasts inside each band.
        data: in words, for the manifest.

    Returns:
        By domain; without those that have fewer than 30 breasts with both views of a class.
    """
    found: dict[Domain, DomainFit] = {}
    breasts = list(pairs(films).values())
    for domain in KNOWN:
        groups = [group for group in breasts if set(domains[group].tolist()) == {domain}]
        labels = np.array(
            [max(films[number].malignant for number in group) for group in groups], np.float32
        )
        if min(np.sum(labels > 0), np.sum(labels == 0)) < LEAST:
            continue
        # A mean of logits is the logit of some raw score: the same fit as for films.
        means = np.array([_mean_logit(films, raw, group) for group in groups])
        found[domain] = _fit(labels, expit(means), sensitivity, undecided, f"breasts of {data}")
        say(f"{domain}: breasts calibrated on {len(groups)} with CC and MLO")
    return found


def _fit(
    labels: NDArray[np.float32], raw: Floats, sensitivity: float, undecided: float, data: str
) -> DomainFit:
    platt = calibration.platt(labels, raw)
    scores = calibration.calibrated(raw, platt)
    points = calibration.operating_points(labels, scores, sensitivity, undecided, data)
    in_words = {
        name: point.model_copy(update={"chosen_on": point.chosen_on.replace(" images", " breasts")})
        for name, point in points.items()
    }
    return DomainFit(calibration=platt, operating_points=in_words)


def _mean_logit(films: Sequence[Film], raw: Floats, group: Sequence[int]) -> float:
    """Average the films of one breast as the daemon does."""
    mean = mean_of(view_of(films[number], float(raw[number]), "unknown") for number in group)
    if mean is None:
        msg = "a pair of CC and MLO has no mean"
        raise AssertionError(msg)
    return mean.logit
