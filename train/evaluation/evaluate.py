"""
`mammo-train evaluate`: the exported file on the held-out test patients, in numbers and pictures.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.models.bundle import Bundle, sha256_of, verify
from train.data.datasets import Sources
from train.data.films import Prepared
from train.data.index import SIDES, Film, Side
from train.errors import TrainError
from train.evaluation import (
    against,
    baselines,
    digital,
    domains,
    figures,
    lesions,
    per_exam,
    plots,
    promise,
    robustness,
    subgroups,
    verdict,
)
from train.fitting.finished_run import FinishedRun, reopen
from train.progress import say, warn
from train.run_folder import RunFolder, read_json, write_json
from train.scoring import pointing_game
from train.scoring.judge import Judged, judge
from train.scoring.score import Scored, score_file, shapes_of

INVARIANCE: Final = 100
"""The number of validation films whose variants are scored, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of the command."""

    data: Sources | None = None
    """The place of the data now; None: where `fit` found them."""
    bundle: Path | None = None
    """The bundle to measure; None: the run's own."""
    invariance: int = INVARIANCE
    """The number of validation films to change in every way; 0: none."""
    elsewhere: Path | None = None
    """A folder of mammograms from elsewhere to change too."""
    against: Path | None = None
    """Another bundle to score on the same films."""
    digital: Sources | None = None
    """Data sets of digital mammograms that the network has not learnt from, to measure it on."""


def evaluate(run: RunFolder, request: Request) -> None:
    """
    Measure the default file of the bundle in the daemon's engine, and write RUN/evaluation.

    `metrics.json` has every number, `scores.csv` every test film, so that others can compute the
    numbers again, and there are pictures. Calibration, thresholds and gate are the bundle's: they
    were fitted on other patients and are only applied here.

    A run that was trained on pieces alone has no bundle: there, the lesions of the test patients
    are scored by Keras.

    Raises:
        TrainError: there is no bundle yet, or it is not of this run.
        ModelError: the bundle is damaged.
    """
    # First, to tell at once if the folder holds nothing.
    elsewhere = robustness.readable(request.elsewhere) if request.elsewhere else ()
    fitted = reopen(run, request.data)
    found = lesions.measure(fitted, run)
    if found:
        say(f"lesions: {lesions.summary(found['test'])}")
    if not fitted.recipe.whole:
        write_json(run.metrics, {"lesions": found})
        return
    bundle = _bundle(run, request.bundle, fitted)
    scored = _score(bundle, fitted.side("test"))
    judged = _judge(bundle, fitted, "test", scored)
    numbers = {**measure(fitted, bundle, scored, judged), "lesions": found}
    numbers["measured_on"] = datetime.now(UTC).date().isoformat()
    numbers["promise"] = _promise(bundle, fitted, judged)
    numbers["invariance"] = robustness.measure(
        bundle, fitted.side("validation").films, request.invariance, fitted.recipe.seed
    )
    numbers["invariance_elsewhere"] = robustness.measure(bundle, elsewhere, len(elsewhere), 0)
    if request.digital:
        numbers["digital"] = digital.measure(bundle, request.digital, run.cache, fitted.recipe.seed)
    if request.against:
        training = bundle.manifest.training
        numbers["against"] = against.measure(
            request.against, judged, run.cache, training, fitted.recipe.seed
        )
    numbers["verdict"] = verdict.sentences(numbers)
    run.evaluation.mkdir(parents=True, exist_ok=True)
    write_scores(run.evaluation / "scores.csv", judged, bundle)
    plots.draw(run.evaluation, numbers, judged, scored, bundle.manifest.input)
    if run.history.exists():
        plots.training_curves(
            run.evaluation / "training.png",
            read_json(run.history, "fit RECIPE --data DATA --out RUN"),
            fitted.notes,
        )
    write_json(run.metrics, numbers)
    low, high = numbers["test"]["intervals_95"]["auc"]
    say(
        f"AUC {numbers['test']['auc']:.3f} (95 % interval {low:.3f} to {high:.3f}) "
        f"on {numbers['test']['images']} films: {run.metrics}"
    )
    for sentence in numbers["verdict"]:
        warn(sentence)


def measure(fitted: FinishedRun, bundle: Bundle, scored: Scored, judged: Judged) -> dict[str, Any]:
    """
    Compute every number but the invariance.

    Args:
        fitted: the run, for its training films.
        bundle: the one that scored.
        scored: the test films that could be decoded.
        judged: all test films.
    """
    manifest, seed = bundle.manifest, fitted.recipe.seed
    model, training, test = (
        manifest.models[manifest.default_model],
        fitted.side("train"),
        scored.films,
    )
    point = model.operating_points[manifest.default_operating_point]
    return {
        "data": {**about(fitted.sides), "sources": _named(fitted.notes["data"])},
        "bundle": {
            "id": bundle.bundle_id,
            "name": manifest.name,
            "version": manifest.version,
            "file": manifest.default_model,
        },
        "quantization": model.quantization,
        **figures.figures(judged, model, manifest.default_operating_point, seed),
        "exams": per_exam.tables(judged, model, manifest.default_operating_point, seed),
        "subgroups": subgroups.tables(
            judged,
            subgroups.groupings(judged.films, _brightness(training, test, judged)),
            point.threshold,
            seed,
        ),
        "domains": domains.domains(judged, point, seed),
        "normal": domains.normal(judged, point, seed),
        "birads": baselines.birads(judged.films, judged.scores, seed),
        "shortcuts": baselines.shortcuts(training, test, seed),
        "permutation": baselines.permutation(
            training, test, _features(bundle, training, scored), seed
        ),
        "pointing": pointing_game.play(scored, manifest.input, seed),
    }


def about(sides: Mapping[Side, tuple[Film, ...]]) -> dict[str, Any]:
    """
    Describe the data, as far as the pages must not say it wrongly.

    Returns:
        `test_side`: `given` if the data set itself names the test patients, `held out` if the split
        drew them, or `both`; `normal`: films without any finding, which count as benign; `unknown`:
        films of which the data do not say what they show.
    """
    films = [film for side in SIDES for film in sides[side]]
    given = {film.split is not None for film in sides["test"]}
    return {
        "test_side": "both" if len(given) > 1 else "given" if given == {True} else "held out",
        "normal": sum(film.abnormality == "normal" for film in films),
        "unknown": sum(film.abnormality is None for film in films),
    }


def _named(data: str | Sequence[str]) -> list[str]:
    """Name data sets by the ends of their paths, which say most: `cbis-ddsm/mass-800`."""
    paths = [Path(source) for source in ([data] if isinstance(data, str) else data)]
    return ["/".join(path.with_suffix("").parts[-2:]) for path in paths]


def write_scores(path: Path, judged: Judged, bundle: Bundle) -> None:
    """
    Write one line a test film: path, patient, label, raw, calibrated, decision.

    A refused film has no raw score and 0.5.
    """
    decision = bundle.decision(bundle.manifest.default_model)
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["path", "patient", "label", "raw", "calibrated", "decision"])
        for film, raw, score, refused in zip(
            judged.films, judged.raw, judged.scores, judged.refused, strict=True
        ):
            said = "rejected" if refused else decision.label(float(score))
            lines.writerow(
                [
                    film.name,
                    film.patient,
                    film.label,
                    "" if refused else f"{raw:.7f}",
                    f"{score:.7f}",
                    said,
                ]
            )


def _bundle(run: RunFolder, folder: Path | None, fitted: FinishedRun) -> Bundle:
    folder = folder or run.bundle
    if not folder.is_dir():
        msg = (
            f"{folder} is not there; run `mammo-train export {run.root}` "
            "first, or name the bundle with --bundle"
        )
        raise TrainError(msg)
    bundle = verify(folder)
    wanted = {
        "model_sha256": sha256_of(run.model),
        "index_fingerprint": fitted.notes["index_fingerprint"],
        "seed": fitted.recipe.seed,
    }
    found = {name: bundle.manifest.training.get(name) for name in wanted}
    if found != wanted:
        differing = ", ".join(
            f"{name} {found[name]}, expected {wanted[name]}"
            for name in wanted
            if found[name] != wanted[name]
        )
        msg = (
            f"{folder}: expected a bundle of this run, of whose test "
            f"patients its network saw none; found {differing};"
            f" run `mammo-train export {run.root}` again"
        )
        raise TrainError(msg)
    return bundle


def _judge(bundle: Bundle, fitted: FinishedRun, side: Side, scored: Scored) -> Judged:
    model = bundle.manifest.models[bundle.manifest.default_model]
    return judge(fitted.sides[side], scored, model, bundle.folder)


def _promise(bundle: Bundle, fitted: FinishedRun, test: Judged) -> dict[str, dict[str, Any]]:
    """Set the rates on validation patients beside those on test patients."""
    manifest, recipe = bundle.manifest, fitted.recipe
    validation = _judge(bundle, fitted, "validation", _score(bundle, fitted.side("validation")))
    points = manifest.models[manifest.default_model].operating_points
    point = points[manifest.default_operating_point]
    return promise.rates(validation, test, point, recipe.sensitivity, recipe.seed)


def _score(bundle: Bundle, films: Prepared) -> Scored:
    manifest = bundle.manifest
    return score_file(
        bundle.folder / manifest.default_model, shapes_of(manifest), films, manifest.input
    )


def _features(
    bundle: Bundle, training: Prepared, test: Scored
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]] | None:
    """Give the features of training and test films; None if the model has none."""
    if test.features is None:
        return None
    features = _score(bundle, training).features
    return None if features is None else (features, test.features)


def _brightness(training: Prepared, test: Prepared, judged: Judged) -> list[str | None]:
    groups: Mapping[str, str] = dict(
        zip(
            (film.name for film in test.films),
            subgroups.brightness(training.contrast, test.contrast),
            strict=True,
        )
    )
    return [groups.get(film.name) for film in judged.films]
