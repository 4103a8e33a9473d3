"""
A bundle's calibration from scores and verdicts of a device's ledger alone, without a picture.

The raw score of a model file is the same under every calibration, so verdicts on scores of earlier
bundles with the same file count as well.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.domain import Domain
from edge.models.bundle import Bundle
from edge.models.manifest import DomainFit, ModelFile
from edge.models.pairs import Pair
from edge.models.performance import look
from edge.storage.ledger.readonly import open_readonly
from edge.storage.ledger.schema import FILE
from edge.storage.ledger.verdicts import Raw, read_pairs, read_raw
from train.errors import DataError
from train.recalibration import cross_validation
from train.recalibration.cross_validation import Rule
from train.scoring import calibration
from train.scoring.measured import Measurement, measured
from train.stats.metrics import Floats, Labels, Patients

DOMAINS: Final[tuple[Domain, ...]] = ("film", "digital")
"""The domains that can be measured."""
UNKNOWN: Final[Domain] = "unknown"
"""The domain of all other images."""


@dataclass(frozen=True, slots=True)
class PairFit:
    """The entry of a file in the new manifest, and by domain a comparison with the old one."""

    model: ModelFile
    numbers: Mapping[Domain, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Table:
    """Pairs as columns, each of shape (n,)."""

    labels: Labels
    raw: Floats
    women: Patients
    domains: NDArray[np.str_]


def read(ledger: Path) -> list[Pair]:
    """
    Read the verdicts of a ledger; of a copy too, as long as its log lies beside it.

    Args:
        ledger: the state folder, or the ledger's file in it.

    Raises:
        StartupError: there is no ledger, or one of another schema version.
    """
    with open_readonly(_folder(ledger)) as db:
        return read_pairs(db)


def read_scores(ledger: Path) -> list[Raw]:
    """Read the raw scores of all images of a ledger; arguments and errors as `read`."""
    with open_readonly(_folder(ledger)) as db:
        return read_raw(db)


def _folder(ledger: Path) -> Path:
    return ledger.parent if ledger.name == FILE else ledger


def with_reference(bundle: Bundle, name: str, model: ModelFile, scores: Sequence[Raw]) -> ModelFile:
    """
    Have drift compared with the scores that all images of the site get by a fitted file.

    Those with a verdict are mostly suspicious ones, from which every day would differ.

    Args:
        bundle: the bundle before the fit.
        name: the file's.
        model: its final entry, shifted to another prevalence if that is wanted.
        scores: of the ledger, by any file.
    """
    hashes = _hashes(bundle, name, bundle.manifest.models[name])
    own = [one for one in scores if one.model in hashes and one.preprocess == bundle.preprocess_id]
    found = [np.zeros(0)]
    for domain in (*DOMAINS, UNKNOWN):
        raw = np.array([one.raw for one in own if one.domain == domain], dtype=np.float64)
        found.append(calibration.calibrated(raw, model.fit_of(domain).calibration))
    reference = calibration.histogram(np.concatenate(found))
    return model.model_copy(update={"reference_histogram": reference})


def fits(bundle: Bundle, pairs: Sequence[Pair]) -> dict[str, PairFit]:
    """
    Fit each model file of which there are enough verdicts in a domain.

    Raises:
        DataError: there are enough of none.
    """
    found, why = {}, []
    for name, model in bundle.manifest.models.items():
        own = _own(bundle, name, model, pairs)
        looks = {domain: look([one for one in own if one.domain == domain]) for domain in DOMAINS}
        enough = [domain for domain, seen in looks.items() if seen.performance is not None]
        if enough:
            found[name] = _fit(bundle, model, own, enough)
        why += [f"{name}, {domain}: {seen.why_not}" for domain, seen in looks.items()]
    if not found:
        msg = (
            f"too few verdicts on scores of this bundle's files: {'; '.join(why)}; "
            "verdicts on exams do not count, for they name no image"
        )
        raise DataError(msg)
    return found


def _own(bundle: Bundle, name: str, model: ModelFile, pairs: Sequence[Pair]) -> list[Pair]:
    hashes = _hashes(bundle, name, model)
    return [
        pair
        for pair in pairs
        if pair.model in hashes and pair.preprocess == bundle.preprocess_id and pair.woman
    ]


def _hashes(bundle: Bundle, name: str, model: ModelFile) -> set[str]:
    """Return the hashes of a file and of what was compiled from it."""
    files = bundle.manifest.files
    return {files[name], *([files[model.edgetpu]] if model.edgetpu else [])}


def _fit(bundle: Bundle, old: ModelFile, own: Sequence[Pair], domains: Sequence[Domain]) -> PairFit:
    rule = cross_validation.rule_of(bundle.manifest)
    default = bundle.manifest.default_operating_point
    by_domain, numbers = {}, {}
    kept = [pair for pair in own if pair.domain in domains]
    for domain in domains:
        table = _table([pair for pair in kept if pair.domain == domain])
        fit = _domain_fit(table, rule, old)
        by_domain[domain] = fit
        numbers[domain] = _numbers(table, old.fit_of(domain), rule, default)
        numbers[domain] |= _said([pair for pair in kept if pair.domain == domain])
    model = _model(old, by_domain, _measured(kept))
    return PairFit(model, numbers)


def _domain_fit(table: _Table, rule: Rule, old: ModelFile) -> DomainFit:
    platt = calibration.platt(table.labels, table.raw)
    points = calibration.operating_points(
        table.labels,
        calibration.calibrated(table.raw, platt),
        rule.sensitivity,
        rule.undecided,
        "verdicts at the site",
    )
    if set(points) != set(old.operating_points):
        msg = (
            f"the bundle has operating points {', '.join(sorted(old.operating_points))}, expected "
            f"{', '.join(sorted(points))}: export it anew, or calibrate it with --data"
        )
        raise DataError(msg)
    return DomainFit(calibration=platt, operating_points=points)


def _model(
    old: ModelFile,
    by_domain: Mapping[Domain, DomainFit],
    own: Mapping[Domain, Any],
) -> ModelFile:
    """Say that the file was measured there; breasts of these domains lose their calibration."""
    return old.model_copy(
        update={
            "by_domain": {**old.by_domain, **by_domain},
            "measured": {**(old.measured or {}), **own},
            "breasts": {key: fit for key, fit in old.breasts.items() if key not in by_domain},
            "coverage_risk": (),
        }
    )


def _measured(pairs: Sequence[Pair]) -> Mapping[Domain, Any]:
    table = _table(pairs)
    basis = Counter(pair.basis for pair in pairs)
    said = ", ".join(f"{number} by {name}" for name, number in sorted(basis.items()))
    data = f"verdicts at the site ({said})"
    # The AUC is of raw scores: calibration leaves their order as it is.
    found = Measurement(data, table.labels, table.raw, table.women, table.domains)
    return measured([found], 0)


def _numbers(table: _Table, before: DomainFit, rule: Rule, default: str) -> dict[str, Any]:
    nothing_shut = np.zeros(len(table.labels), np.bool_)
    old = cross_validation.answered(table.raw, before.calibration, before.operating_points, default)
    folds = cross_validation.folds(table.labels, table.women)
    new = cross_validation.cross_fitted(table.labels, table.raw, folds, rule)
    return {
        "data": {
            "images": len(table.labels),
            "malignant": int(table.labels.sum()),
            "patients": len(set(table.women.tolist())),
        },
        "before": cross_validation.measure(table.labels, old, nothing_shut),
        "after": cross_validation.measure(table.labels, new, nothing_shut),
    }


def _said(pairs: Sequence[Pair]) -> dict[str, Any]:
    return {
        "basis": dict(sorted(Counter(pair.basis for pair in pairs).items())),
        "score_seen": sum(pair.score_seen for pair in pairs),
    }


def _table(pairs: Sequence[Pair]) -> _Table:
    return _Table(
        np.array([pair.is_malignant for pair in pairs], dtype=np.float32),
        np.array([pair.raw for pair in pairs], dtype=np.float64),
        np.array([pair.woman for pair in pairs], dtype=np.str_),
        np.array([pair.domain for pair in pairs], dtype=np.str_),
    )
