"""`mammo-train calibrate`: calibration, thresholds and gate of a bundle, fitted to a site."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.models.bundle import Bundle, verify
from edge.models.manifest import DomainFit, Manifest, ModelFile
from edge.models.pointing import KEY as POINTING
from train.data import datasets
from train.data.datasets import Sources
from train.data.domains import domains_of
from train.data.films import Prepared
from train.data.prepare import prepared
from train.errors import DataError, TrainError
from train.exporting import bundle_writer
from train.progress import say
from train.recalibration import cross_validation, pairs, report
from train.recalibration.pairs import PairFit
from train.recalibration.refit import Refit, Site, refit
from train.run_folder import write_json
from train.scoring import calibration, negatives

LEAST_IMAGES: Final = 30
"""The fewest images of each class: fewer leave the slope of the calibration anywhere."""
LEAST_PATIENTS: Final = 10
"""The fewest patients of each class: a fifth of them at a time is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of the command."""

    bundle: Path
    data: Sources | None
    """The site's mammograms; None: only shift the prevalence."""
    pairs: Path | None
    """A ledger with scores and verdicts, instead of mammograms."""
    prevalence: float | None
    """The share of malignant images to shift to; None: that of the data."""
    out: Path
    suffix: str
    not_mammograms: Sequence[Path]
    command: str


def calibrate_site(request: Request) -> None:
    """
    Write OUT/bundle, a copy of the bundle under a new id and version, and the report beside it.

    Raises:
        DataError: too few images or patients of a class.
        TrainError: there is nothing to do, or two things, or the prevalence for which the old
            calibration holds is unknown.
        ModelError: the bundle is not usable.
    """
    old = verify(request.bundle)
    _refuse_unclear(request)
    if _in_or_over(request.out, old.folder):
        msg = f"--out {request.out}: the bundle itself stays as it is; name another folder"
        raise TrainError(msg)
    refits = None if request.data is None else _refits(old, request.data, request)
    fits = {} if request.pairs is None else pairs.fits(old, pairs.read(request.pairs))
    models = dict(old.manifest.models)
    models |= {name: file.model for name, file in (refits or {}).items()}
    models |= {name: file.model for name, file in fits.items()}
    if request.prevalence is not None:
        models = {name: shifted(model, request.prevalence) for name, model in models.items()}
    if request.pairs is not None:
        scores = pairs.read_scores(request.pairs)
        models |= {name: pairs.with_reference(old, name, models[name], scores) for name in fits}
    images = _images(refits, fits)
    points = old.manifest.default_operating_point if refits is None else calibration.DEFAULT
    new = _write(old, models, (images, points), request)
    numbers = {
        "command": request.command,
        "old": {"version": old.manifest.version, "bundle_id": old.bundle_id},
        "new": {"version": new.manifest.version, "bundle_id": new.bundle_id},
        "prevalence": request.prevalence,
        "files": {name: file.numbers for name, file in (refits or {}).items()},
        "pairs": {name: file.numbers for name, file in fits.items()},
    }
    write_json(request.out / "calibration.json", numbers)
    page = report.page(numbers, old.manifest, new.manifest)
    (request.out / "calibration.md").write_text(page, encoding="utf-8")
    say(
        f"bundle {new.bundle_id[:12]}, version {new.manifest.version}: "
        f"{new.folder}; report: {request.out / 'calibration.md'}"
    )


def _refuse_unclear(request: Request) -> None:
    if request.data is not None and request.pairs is not None:
        msg = "two things to fit to: give --data or --pairs"
        raise TrainError(msg)
    if request.data is None and request.pairs is None and request.prevalence is None:
        msg = (
            "nothing to do: give --data, mammograms of the site with their labels, or --pairs, "
            "the ledger with verdicts, or --prevalence"
        )
        raise TrainError(msg)


def _images(refits: Mapping[str, Refit] | None, fits: Mapping[str, PairFit]) -> object:
    """Return what the manifest says of the images of the fit; None if there are none."""
    if refits:
        return next(iter(refits.values())).numbers["data"]
    return {
        name: {domain: found["data"] for domain, found in file.numbers.items()}
        for name, file in fits.items()
    } or None


def _in_or_over(out: Path, bundle: Path) -> bool:
    """Tell if something would be written into the folder of the bundle."""
    return any(path.resolve().is_relative_to(bundle.resolve()) for path in (out, out / "bundle"))


def shifted(model: ModelFile, prevalence: float) -> ModelFile:
    """Keep the decisions, with probabilities for another share of malignant images."""
    platt = calibration.shifted(model.calibration, prevalence)
    before = model.calibration.prevalence or prevalence
    centres = (np.arange(len(model.reference_histogram)) + 0.5) / len(model.reference_histogram)
    moved = np.repeat(
        calibration.at_prevalence(centres, before, prevalence), model.reference_histogram
    )
    points = {
        name: calibration.shifted_point(point, before, prevalence)
        for name, point in model.operating_points.items()
    }
    return model.model_copy(
        update={
            "calibration": platt,
            "operating_points": points,
            "reference_histogram": calibration.histogram(moved),
            "by_domain": {
                domain: _shifted_fit(fit, prevalence) for domain, fit in model.by_domain.items()
            },
            "breasts": {
                domain: _shifted_fit(fit, prevalence) for domain, fit in model.breasts.items()
            },
        },
    )


def _shifted_fit(fit: DomainFit, prevalence: float) -> DomainFit:
    before = fit.calibration.prevalence or prevalence
    points = {
        name: calibration.shifted_point(point, before, prevalence)
        for name, point in fit.operating_points.items()
    }
    return DomainFit(
        calibration=calibration.shifted(fit.calibration, prevalence), operating_points=points
    )


def _refits(old: Bundle, data: Sources, request: Request) -> dict[str, Refit]:
    index, spec = datasets.load(data), old.manifest.input
    films = prepared(index, spec, request.out / "cache")
    _refuse_few(films, index.source)
    unlike = negatives.read(request.not_mammograms, spec) if request.not_mammograms else None
    folds = cross_validation.folds(films.labels, films.patients)
    names = ", ".join(source.stem for source in datasets.paths_of(data))
    site = Site(films, domains_of(films.films), folds, f"{names}, for a site's calibration")
    return {name: refit(old, name, site, unlike) for name in old.manifest.models}


def _refuse_few(films: Prepared, source: str) -> None:
    for label, wanted in enumerate(datasets.LABELS):
        images = [film for film in films.films if film.malignant == label]
        patients = {film.patient for film in images}
        if len(images) < LEAST_IMAGES or len(patients) < LEAST_PATIENTS:
            msg = (
                f"{source}: {len(images)} {wanted} images of {len(patients)} "
                f"patients, expected at least {LEAST_IMAGES} of"
                f" {LEAST_PATIENTS}: fewer say too little; keep the bundle's own calibration"
            )
            raise DataError(msg)


def _write(
    old: Bundle,
    models: Mapping[str, ModelFile],
    said: tuple[object, str],
    request: Request,
) -> Bundle:
    """Write the new bundle; `said`: the images of the fit, and the default operating point."""
    images, default = said
    manifest = old.manifest
    files = {name: (old.folder / name).read_bytes() for name in manifest.files}
    # Figures of the old calibration say nothing of this one; where a map points, none moves.
    before = {"version": manifest.version, "scores": manifest.scores}
    note: dict[str, Any] = {
        "command": request.command,
        "from_bundle": old.bundle_id,
        "prevalence": request.prevalence,
        "before": before,
    }
    if images:
        note["images"] = images
    new = {
        **manifest.model_dump(by_alias=True),
        "input": asdict(manifest.input),
        "version": f"{manifest.version.partition('+')[0]}+{request.suffix}",
        "models": {name: model.model_dump() for name, model in models.items()},
        "default_operating_point": default,
        "training": {**manifest.training, "site": note},
        "scores": {key: value for key, value in manifest.scores.items() if key == POINTING},
    }
    return bundle_writer.write(request.out / "bundle", files, Manifest.model_validate(new))
