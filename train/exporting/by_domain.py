"""The facts of a model file by domain: on what it was measured, and how it is calibrated."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edge.domain import Domain
from edge.models.manifest import DomainFit, Measured, ModelFile
from train.data.index import Side
from train.exporting.reference import FITTED_ON, Reference
from train.scoring import breasts, calibration
from train.scoring.gate import Refused
from train.scoring.measured import LEAST, Measurement, measured
from train.scoring.score import Scored
from train.stats.metrics import Floats

DIGITAL: Domain = "digital"


def with_domains(
    model: ModelFile,
    reference: Reference,
    scored: Mapping[Side, Scored],
    digital: Scored | None,
    refused: Callable[[Scored], Refused],
) -> ModelFile:
    """
    Add domains to a file's entry: measurements, digital's own calibration, and that of breasts.

    Args:
        model: calibrated on the run's validation patients.
        reference: the run and the digital mammograms.
        scored: the sides of the run, by this file.
        digital: digital mammograms, by this file; None if there are none.
        refused: tells which films the gate of this file refuses.
    """
    seed = reference.run.recipe.seed
    found = [_test(model, reference, scored["test"], refused)]
    fits: dict[Domain, DomainFit] = {}
    of_breasts = _breasts(reference, scored["validation"].only(~refused(scored["validation"])))
    if digital is not None and reference.digital is not None:
        accepted = digital.only(~refused(digital))
        fit = _fit(reference, accepted)
        of_breasts.pop(DIGITAL, None)
        of_breasts |= _digital_breasts(reference, accepted)
        fits = {DIGITAL: fit} if fit else {}
        platt = (fit or model).calibration
        found.append(
            Measurement(
                reference.digital.data,
                digital.films.labels,
                _scores(digital, refused, calibration.calibrated(digital.raw, platt)),
                digital.films.patients,
                np.full(len(digital.raw), DIGITAL),
            )
        )
    update: dict[str, Any] = {
        "measured": measured(found, seed),
        "by_domain": fits,
        "breasts": of_breasts,
    }
    return model.model_copy(update=update)


def numbers_of(model: ModelFile) -> dict[str, Any]:
    """Give the measurements for the report, by domain."""
    found: Mapping[Domain, Measured] = model.measured or {}
    return {domain: each.model_dump() for domain, each in found.items()}


def _test(
    model: ModelFile, reference: Reference, scored: Scored, refused: Callable[[Scored], Refused]
) -> Measurement:
    scores = calibration.calibrated(scored.raw, model.calibration)
    patients = len(set(scored.films.patients.tolist()))
    return Measurement(
        f"{patients} test patients of the training's own data",
        scored.films.labels,
        _scores(scored, refused, scores),
        scored.films.patients,
        reference.domains,
    )


def _scores(scored: Scored, refused: Callable[[Scored], Refused], calibrated: Floats) -> Floats:
    return calibration.with_refused(calibrated, refused(scored))


def _fit(reference: Reference, accepted: Scored) -> DomainFit | None:
    """Calibrate on digital mammograms; None if a class has too few of them."""
    labels, recipe = accepted.films.labels, reference.run.recipe
    if min(np.sum(labels > 0), np.sum(labels == 0)) < LEAST or reference.digital is None:
        return None
    platt = calibration.platt(labels, accepted.raw)
    points = calibration.operating_points(
        labels,
        calibration.calibrated(accepted.raw, platt),
        recipe.sensitivity,
        recipe.undecided,
        reference.digital.data,
    )
    return DomainFit(calibration=platt, operating_points=points)


def _breasts(reference: Reference, accepted: Scored) -> dict[Domain, DomainFit]:
    """Calibrate breasts on the validation patients, as single films are."""
    recipe, films = reference.run.recipe, accepted.films.films
    together = sorted(number for members in breasts.pairs(films).values() for number in members)
    several = np.zeros(len(films), np.bool_)
    several[together] = True
    kept = accepted.only(several)
    domains = reference.domains_of(kept.films.films)
    return breasts.fits(
        kept.films.films, kept.raw, domains, recipe.sensitivity, recipe.undecided, FITTED_ON
    )


def _digital_breasts(reference: Reference, accepted: Scored) -> dict[Domain, DomainFit]:
    """Calibrate breasts on the same digital mammograms as single ones are, if they have views."""
    if reference.digital is None:
        return {}
    recipe, films = reference.run.recipe, accepted.films.films
    domains = np.full(len(films), DIGITAL)
    data = reference.digital.data
    return breasts.fits(films, accepted.raw, domains, recipe.sensitivity, recipe.undecided, data)
