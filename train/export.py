"""`mammo-train export`: a finished run becomes a bundle that the daemon loads, proved against Keras on real images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from edge.bundle import PREPROCESS_VERSION, Manifest, ModelFile, OperatingPoint, Outputs, Platt
from train import agreement, bundle_folder, calibrate, metrics, tflite, wording
from train.agreement import Known, Scored
from train.datasets import SIDES, Sources
from train.fitted import Fitted, reopen
from train.gate import fit_gate, refused_share
from train.progress import say
from train.run_folder import RunFolder, write_json

MODEL_FILE: Final = "model.tflite"
ATTRIBUTION: Final = "ATTRIBUTION"
OPERATING_POINT: Final = "default"


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks for."""

    data: Sources | None
    """Where the data set is now; None: where it was."""
    bundle: Path
    version: str
    about_data: str
    """Where the training images come from, what may be done with them and what they are not."""
    tflite_runtime: Path | None
    """The Python of an environment with tflite-runtime."""


@dataclass(frozen=True, slots=True)
class _Converted:
    """The exported file and what was measured with it."""

    data: bytes
    pictures: dict[str, bytes]
    validation: Scored
    test: Scored
    known: Known
    agreement: dict[str, Any]

    @property
    def files(self) -> dict[str, bytes]:
        """What goes into the bundle from here."""
        return {MODEL_FILE: self.data, **self.pictures}


def export(run: RunFolder, request: Request) -> None:
    """
    Convert, compare, calibrate and write the bundle; the numbers also go to RUN/export.json.

    Raises:
        TrainError: the exported file does not say what Keras said.
        ModelError: the written bundle does not verify.
    """
    fitted = reopen(run, request.data)
    converted = _convert(fitted, request.tflite_runtime)
    model = _model_file(fitted, converted)
    numbers = _numbers(fitted, converted, model)
    files = {**converted.files, ATTRIBUTION: request.about_data.encode()}
    bundle = bundle_folder.write(request.bundle, files, _manifest(fitted, request, model, files, numbers))
    point = model.operating_points[OPERATING_POINT]
    written = {"bundle_id": bundle.bundle_id, "about_data": request.about_data, "operating_point": point.model_dump()}
    write_json(run.exported, {**written, "tolerance": model.tolerance, **numbers})
    (low, high), test = numbers["test"]["intervals_95"]["auc"], numbers["test"]
    say(f"exported file: AUC {test['auc']:.3f} ({low:.3f} to {high:.3f}) on {test['patients']} test patients")
    say(f"bundle {bundle.bundle_id[:12]} in {request.bundle}: {len(converted.data) / 1e6:.1f} MB")


def _convert(fitted: Fitted, python: Path | None) -> _Converted:
    data = tflite.convert(fitted.model, fitted.recipe.input)
    with TemporaryDirectory() as folder:
        model = Path(folder) / MODEL_FILE
        model.write_bytes(data)
        validation, test = (agreement.score(fitted, side, model) for side in ("validation", "test"))
        compared = agreement.compare(fitted.recipe.max_difference, validation, test)
        pictures = agreement.choose_known(fitted)
        known = agreement.answer_known(fitted, model, pictures, python, compared["max_difference"])
    return _Converted(data, pictures, validation, test, known, {**compared, **known.measured})


def _model_file(fitted: Fitted, converted: _Converted) -> ModelFile:
    """Everything the manifest says of the exported file, fitted on its own outputs."""
    validation, recipe = converted.validation, fitted.recipe
    platt = calibrate.platt(validation.films.labels, validation.raw)
    scores = calibrate.calibrated(validation.raw, platt)
    point = calibrate.operating_point(validation.films.labels, scores, recipe.sensitivity, recipe.undecided, "validation patients")
    return ModelFile(
        quantization="float16",
        calibration=platt,
        operating_points={OPERATING_POINT: point},
        gate=fit_gate(fitted.side("train")),
        known_answers=converted.known.answers,
        tolerance=converted.known.tolerance,
        reference_histogram=calibrate.histogram(scores),
    )


def _numbers(fitted: Fitted, converted: _Converted, model: ModelFile) -> dict[str, Any]:
    platt, point, seed = model.calibration, model.operating_points[OPERATING_POINT], fitted.recipe.seed
    return {
        "bytes": len(converted.data),
        "agreement": converted.agreement,
        "gate": {side: refused_share(fitted.side(side), model.gate) for side in SIDES},
        "validation": _results(converted.validation, platt, point, seed),
        "test": _results(converted.test, platt, point, seed),
    }


def _results(scored: Scored, platt: Platt, point: OperatingPoint, seed: int) -> dict[str, Any]:
    """Scores of the exported file, calibrated; `decided` is what the daemon would not call indeterminate."""
    scores, films = calibrate.calibrated(scored.raw, platt), scored.films
    decided = calibrate.decided(scores, point)
    called = metrics.rates(films.labels[decided], scores[decided] >= point.threshold) if decided.any() else {}
    return {
        **metrics.measure(films.labels, scores, films.patients, point.threshold, seed),
        "decided": {"share": float(decided.mean()), **called},
    }


def _outputs(fitted: Fitted) -> Outputs:
    shapes = tflite.shapes(fitted.model, fitted.recipe.input)
    return Outputs(probability=shapes.probability, logit_map=shapes.logit_map, features=shapes.features)


def _manifest(fitted: Fitted, request: Request, model: ModelFile, files: Mapping[str, bytes], numbers: Mapping[str, Any]) -> Manifest:
    recipe, notes = fitted.recipe, fitted.notes
    training = {
        **{name: notes[name] for name in ("command", "data", "split", "times", "versions")},
        "recipe": recipe.name,
        "summary": recipe.summary,
        "about_data": request.about_data,
        "agreement": numbers["agreement"],
        "gate": numbers["gate"],
    }
    values = {
        "schema": "mammo.bundle/1",
        "name": f"mammo-{recipe.name}",
        "version": request.version,
        "licence": wording.LICENCE,
        "intended_use": wording.INTENDED_USE,
        "input": recipe.input,
        "preprocess_version": PREPROCESS_VERSION,
        "outputs": _outputs(fitted),
        "labels": ("benign", "malignant"),
        "files": bundle_folder.digests(files),
        "models": {MODEL_FILE: model},
        "default_model": MODEL_FILE,
        "default_operating_point": OPERATING_POINT,
        "training": training,
        "scores": {side: numbers[side] for side in ("validation", "test")},
    }
    return Manifest.model_validate(values)
