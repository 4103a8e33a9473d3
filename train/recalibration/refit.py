"""A model file of a bundle, fitted anew on the mammograms of a site."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.models.bundle import Bundle
from edge.models.manifest import Gate, ModelFile
from train.data.films import Prepared
from train.exporting import known_answers
from train.recalibration import cross_validation
from train.recalibration.cross_validation import Folds, Rule
from train.scoring import breasts, calibration, gate
from train.scoring.gate import Boundary, boundary_of
from train.scoring.measured import Measurement, measured
from train.scoring.score import Scored, score_file, shapes_of
from train.stats.metrics import Floats


@dataclass(frozen=True, slots=True)
class Refit:
    """The entry of a file in the new manifest, and a comparison with the old."""

    model: ModelFile
    numbers: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Site:
    """The mammograms of a site."""

    films: Prepared
    domains: NDArray[np.str_]
    """The domain of each, shape (n,)."""
    folds: Folds
    """Of the estimate on unseen patients."""
    data: str
    """The data sets, in words."""


def refit(bundle: Bundle, name: str, site: Site, unlike: Prepared | None) -> Refit:
    """
    Fit what belongs to a model file on its own scores of the site's films.

    Args:
        bundle: verified.
        name: of the model file.
        site: its films.
        unlike: pictures that are no mammograms, to measure the gate on; or None.
    """
    films = site.films
    old, shapes, spec = (
        bundle.manifest.models[name],
        shapes_of(bundle.manifest),
        bundle.manifest.input,
    )
    scored = score_file(bundle.folder / name, shapes, films, spec)
    before = boundary_of(old.gate, bundle.folder)
    limits, after = _gate(bundle, old, scored, before)
    strange = None if unlike is None else score_file(bundle.folder / name, shapes, unlike, spec)
    shut_before, shut = (
        gate.refused(films, scored.features, *each)
        for each in ((old.gate, before), (limits, after))
    )
    rule = cross_validation.rule_of(bundle.manifest)
    model = _model(old, scored.only(~shut), limits, rule)
    model = _with_domains(old, model, site, calibration.with_refused(scored.raw, shut))
    own = breasts.fits(
        scored.only(~shut).films.films,
        scored.raw[~shut],
        site.domains[~shut],
        rule.sensitivity,
        rule.undecided,
        "the site's patients",
    )
    model = model.model_copy(update={"breasts": model.breasts | own})
    old_answers = cross_validation.answered(
        scored.raw, old.calibration, old.operating_points, bundle.manifest.default_operating_point
    )
    numbers = {
        "data": {
            "images": len(films.films),
            "malignant": int(films.labels.sum()),
            "patients": len(set(films.patients.tolist())),
        },
        "before": cross_validation.measure(films.labels, old_answers, shut_before),
        "after": cross_validation.measure(
            films.labels,
            cross_validation.cross_fitted(films.labels, scored.raw, site.folds, rule),
            shut,
        ),
        "measured": {domain: each.model_dump() for domain, each in (model.measured or {}).items()},
        "refused": {"before": float(shut_before.mean()), "after": float(shut.mean())},
        "caught": {
            "before": _caught(strange, old.gate, before),
            "after": _caught(strange, limits, after),
        },
    }
    return Refit(model, numbers)


def _model(old: ModelFile, accepted: Scored, limits: Gate, rule: Rule) -> ModelFile:
    labels = accepted.films.labels
    platt = calibration.platt(labels, accepted.raw)
    scores = calibration.calibrated(accepted.raw, platt)
    points = calibration.operating_points(
        labels, scores, rule.sensitivity, rule.undecided, "the site's patients"
    )
    update = {
        "calibration": platt,
        "operating_points": points,
        "gate": limits,
        "reference_histogram": calibration.histogram(scores),
        "coverage_risk": calibration.coverage_risk(
            labels, scores, points[calibration.DEFAULT].threshold
        ),
    }
    return old.model_copy(update=update)


def _with_domains(old: ModelFile, new: ModelFile, site: Site, scores: Floats) -> ModelFile:
    """
    Say that the file was measured on the site's domains.

    The new calibration is theirs; other domains that were measured before keep the old one, for
    single images and for breasts.
    """
    own = measured(
        [Measurement(site.data, site.films.labels, scores, site.films.patients, site.domains)], 0
    )
    before = {domain: fact for domain, fact in (old.measured or {}).items() if domain not in own}
    fits = {domain: old.fit_of(domain) for domain in before}
    of_breasts = {domain: fit for domain, fit in old.breasts.items() if domain in before}
    return new.model_copy(
        update={"measured": before | own, "by_domain": fits, "breasts": of_breasts}
    )


def _gate(
    bundle: Bundle, old: ModelFile, scored: Scored, boundary: Boundary | None
) -> tuple[Gate, Boundary | None]:
    """
    Fit limits to the site's films, which the known pictures pass.

    The boundary stays, or opens if it would refuse too many of them.
    """
    if boundary is not None and scored.features is not None:
        missing = max(0.0, -float(np.quantile(boundary.likeness(scored.features), gate.TAIL)))
        boundary = Boundary(boundary.weights, boundary.bias + missing)
    pictures = {
        answer.image: (bundle.folder / answer.image).read_bytes() for answer in old.known_answers
    }
    films = known_answers.prepared(pictures, bundle.manifest.input)
    limits, _ = gate.let_through(gate.fit_gate(scored.films), None, films, None)
    if boundary is not None:
        limits = gate.loosened(limits)
    if boundary is None or old.gate.features is None:
        return limits, None
    features = old.gate.features.model_copy(update={"bias": boundary.bias})
    return limits.model_copy(update={"features": features}), boundary


def _caught(strange: Scored | None, limits: Gate, boundary: Boundary | None) -> float | None:
    return (
        None
        if strange is None
        else float(gate.refused(strange.films, strange.features, limits, boundary).mean())
    )
