"""`mammo-train export`: a finished run becomes a bundle that the daemon loads, proved against Keras on real images."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.bundle import PREPROCESS_VERSION, KnownAnswer, Manifest, ModelFile, OperatingPoint, Outputs, Platt
from train import bundle_folder, calibrate, known, metrics, probe, tflite, wording
from train.datasets import SIDES, Side
from train.errors import TrainError
from train.fit import probabilities
from train.fitted import Fitted, reopen
from train.gate import fit_gate, refused_share
from train.network import PROBABILITY
from train.prepare import Prepared, model_input
from train.progress import bar, say
from train.recipe import Recipe
from train.run_folder import RunFolder, write_json

MODEL_FILE: Final = "model.tflite"
ATTRIBUTION: Final = "ATTRIBUTION"
OPERATING_POINT: Final = "default"
LEAST_TOLERANCE: Final = 1e-3
"""Of a known answer: other processors round otherwise."""
UNMEASURED_TOLERANCE: Final = 5e-3
"""Of a runtime that was not at hand."""
MARGIN: Final = 4.0
"""A tolerance is this many times the largest difference measured."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    data: Path | None
    """Where the data set is now; None: where it was."""
    bundle: Path
    version: str
    attribution: str
    """Where the training images come from and what may be done with them."""
    tflite_runtime: Path | None
    """The Python of an environment with tflite-runtime."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One side of the split, scored by the exported file in the daemon's own engine."""

    films: Prepared
    raw: metrics.Floats
    keras: metrics.Floats

    @property
    def difference(self) -> NDArray[np.float64]:
        """|exported - Keras| of each film."""
        return np.abs(self.raw - self.keras)


def export(run: RunFolder, request: Request) -> None:
    """
    Convert, compare, calibrate and write the bundle; the numbers also go to RUN/export.json.

    Raises:
        TrainError: the exported file does not say what Keras said.
        ModelError: the written bundle does not verify.
    """
    fitted = reopen(run, request.data)
    data = tflite.convert(fitted.model, fitted.recipe)
    with TemporaryDirectory() as folder:
        model = Path(folder) / MODEL_FILE
        model.write_bytes(data)
        scored = {side: _score(fitted, side, model) for side in ("validation", "test")}
        agreement = _compare(fitted.recipe, scored)
        pictures = _known_pictures(fitted)
        answers, tolerance = _known_answers(fitted, model, pictures, agreement, request.tflite_runtime)
    files = {MODEL_FILE: data, **pictures, ATTRIBUTION: request.attribution.encode()}
    platt = calibrate.platt(scored["validation"].films.labels, scored["validation"].raw)
    point = _operating_point(fitted, scored["validation"], platt)
    gate = fit_gate(fitted.side("train"))
    results = {side: _results(each, platt, point, fitted.recipe.seed) for side, each in scored.items()}
    numbers = {"agreement": agreement, "gate": {side: refused_share(fitted.side(side), gate) for side in SIDES}, "bytes": len(data), **results}
    one = ModelFile(
        quantization="float16",
        calibration=platt,
        operating_points={OPERATING_POINT: point},
        gate=gate,
        known_answers=answers,
        tolerance=tolerance,
        reference_histogram=calibrate.histogram(calibrate.calibrated(scored["validation"].raw, platt)),
    )
    bundle = bundle_folder.write(request.bundle, files, _manifest(fitted, request, one, files, numbers))
    write_json(run.exported, {"bundle_id": bundle.bundle_id, "tolerance": tolerance, **numbers})
    say(f"bundle {bundle.bundle_id[:12]} in {request.bundle}: {len(data) / 1e6:.1f} MB")
    auc, (low, high) = results["test"]["auc"], results["test"]["intervals_95"]["auc"]
    say(f"exported file: AUC {auc:.3f} ({low:.3f} to {high:.3f}) on {results['test']['patients']} test patients")


def _score(fitted: Fitted, side: Side, model: Path) -> Scored:
    films = fitted.side(side)
    tensors = (model_input(image, fitted.recipe.input) for image in films.images)
    progress = bar(tensors, f"score {side}", len(films.films))
    return Scored(films, probe.scores(model, "litert", progress), probabilities(fitted.model, films, fitted.recipe))


def _compare(recipe: Recipe, scored: Mapping[str, Scored]) -> dict[str, Any]:
    """
    How far the exported file is from Keras.

    Raises:
        TrainError: further than the recipe allows.
    """
    difference = np.concatenate([each.difference for each in scored.values()])
    largest = float(difference.max())
    # Written so that a NaN, which no comparison holds for, is refused too.
    if not largest <= recipe.max_difference:
        msg = f"the exported file differs from Keras by {largest:.4f} on an image, expected at most {recipe.max_difference:g}; nothing was written"
        raise TrainError(msg)
    return {"images": len(difference), "max_difference": largest, "mean_difference": float(difference.mean())}


def _known_pictures(fitted: Fitted) -> dict[str, bytes]:
    training = fitted.side("train")
    return known.pictures(known.choose(training.films, probabilities(fitted.model, training, fitted.recipe)))


def _known_answers(
    fitted: Fitted, model: Path, pictures: Mapping[str, bytes], agreement: dict[str, Any], python: Path | None
) -> tuple[tuple[KnownAnswer, ...], dict[str, float]]:
    """The answers of this file in litert, and how far each runtime may be from them; notes what was measured in `agreement`."""
    tensors = np.concatenate(list(known.tensors(pictures, fitted.recipe.input).values()))
    raw = probe.scores(model, "litert", tensors[:, None])
    by_keras = np.asarray(fitted.model.predict(tensors, verbose=0)[PROBABILITY])[:, 0]
    agreement["max_difference_known_answers"] = float(np.abs(raw - by_keras).max())
    tolerance = {
        "litert": LEAST_TOLERANCE,
        "tflite-runtime": UNMEASURED_TOLERANCE,
        "keras": _with_margin(max(agreement["max_difference"], agreement["max_difference_known_answers"])),
    }
    if python is not None:
        films = fitted.side("validation")
        every = np.concatenate([tensors, *(model_input(image, fitted.recipe.input) for image in films.images)])
        here, there = probe.scores(model, "litert", every[:, None]), probe.scores_elsewhere(python, model, "tflite-runtime", every)
        agreement["max_difference_tflite_runtime"] = float(np.abs(here - there).max())
        tolerance["tflite-runtime"] = _with_margin(agreement["max_difference_tflite_runtime"])
    answers = tuple(KnownAnswer(image=name, raw=float(value)) for name, value in zip(pictures, raw, strict=True))
    return answers, tolerance


def _with_margin(difference: float) -> float:
    """Four times a measured difference, rounded up to one digit, and never below the least tolerance."""
    wanted = max(MARGIN * difference, LEAST_TOLERANCE)
    digit = 10.0 ** math.floor(math.log10(wanted))
    return min(1.0, round(math.ceil(wanted / digit - 1e-9) * digit, 9))


def _operating_point(fitted: Fitted, scored: Scored, platt: Platt) -> OperatingPoint:
    recipe = fitted.recipe
    scores = calibrate.calibrated(scored.raw, platt)
    return calibrate.operating_point(scored.films.labels, scores, recipe.sensitivity, recipe.undecided, "validation patients")


def _results(scored: Scored, platt: Platt, point: OperatingPoint, seed: int) -> dict[str, Any]:
    """Scores of the exported file, calibrated; `decided` is what the daemon would not call indeterminate."""
    scores = calibrate.calibrated(scored.raw, platt)
    films = scored.films
    decided = calibrate.decided(scores, point)
    called = metrics.rates(films.labels[decided], scores[decided] >= point.threshold) if decided.any() else {}
    return {
        **metrics.measure(films.labels, scores, films.patients, point.threshold, seed),
        "decided": {"share": float(decided.mean()), **called},
    }


def _manifest(fitted: Fitted, request: Request, model: ModelFile, files: Mapping[str, bytes], numbers: Mapping[str, Any]) -> Manifest:
    recipe, notes = fitted.recipe, fitted.notes
    return Manifest(
        schema="mammo.bundle/1",
        name=f"mammo-{recipe.name}",
        version=request.version,
        licence=wording.LICENCE,
        intended_use=wording.INTENDED_USE,
        input=recipe.input,
        preprocess_version=PREPROCESS_VERSION,
        outputs=Outputs(probability=(1, 1), logit_map=tflite.map_shape(fitted.model)),
        labels=("benign", "malignant"),
        files=bundle_folder.digests(files),
        models={MODEL_FILE: model},
        default_model=MODEL_FILE,
        default_operating_point=OPERATING_POINT,
        training={
            **{name: notes[name] for name in ("command", "data", "split", "times", "versions")},
            "recipe": recipe.name,
            "summary": recipe.summary,
            "attribution": request.attribution,
            "agreement": numbers["agreement"],
            "gate": numbers["gate"],
        },
        scores={side: numbers[side] for side in ("validation", "test")},
    )
