"""
One exported file: converted, compared with the network, and everything the manifest says of it
fitted on its own outputs.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.inference.engine import Shapes
from edge.models.manifest import FeatureGate, Gate, ModelFile
from train.data.datasets import Side
from train.data.films import Prepared
from train.exporting import cost, known_answers, npy, parity, tflite, tolerances
from train.exporting.parity import Answers
from train.exporting.tflite import Kind
from train.fitting.finished_run import Fitted
from train.fitting.loop import probabilities
from train.progress import say, warn
from train.scoring import calibration, gate
from train.scoring.gate import Boundary, Refused
from train.scoring.score import Scored, score_file
from train.stats import metrics
from train.stats.metrics import Floats

CHECKED: Final[tuple[Side, Side]] = ("validation", "test")
DATA: Final = "validation patients"


class Source:
    """What every file of an export is made from; the network's own answers are computed once."""

    def __init__(
        self, fitted: Fitted, others: Prepared | None, tflite_runtime: Path | None
    ) -> None:
        self.fitted = fitted
        self.others = others
        self.python = tflite_runtime
        self.shapes: Shapes = tflite.shapes(fitted.model, fitted.recipe.input)

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """The pictures of the known answers, by their names in the bundle."""
        training = self.fitted.side("train")
        return known_answers.pictures(
            known_answers.choose(
                training.films, probabilities(self.fitted.model, training, self.fitted.recipe)
            )
        )

    @cached_property
    def network(self) -> dict[Side, Answers]:
        """What Keras says, calibrated on the validation patients as a file's answers are."""
        return self.answers(
            {
                side: probabilities(self.fitted.model, self.fitted.side(side), self.fitted.recipe)
                for side in CHECKED
            }
        )

    @cached_property
    def threshold(self) -> float:
        """Of the network's own default operating point."""
        labels, scores = self.fitted.side("validation").labels, self.network["validation"].scores
        return calibration.operating_point(
            labels, scores, self.fitted.recipe.sensitivity, 0, DATA
        ).threshold

    def answers(self, raw: Mapping[Side, Floats]) -> dict[Side, Answers]:
        """
        Calibrate raw scores of the validation and test films on those of the validation films.
        """
        platt = calibration.platt(self.fitted.side("validation").labels, raw["validation"])
        return {side: parity.answers(values, platt) for side, values in raw.items()}


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one kind of file."""

    kind: Kind
    data: bytes
    numbers: dict[str, Any]
    """Parity, cost, gate and scores, for the manifest and the report."""
    failures: tuple[str, ...]
    """Why it is not shipped; empty where it passed."""
    model: ModelFile | None = None
    """What the manifest says of it; None where it failed."""
    beside: Mapping[str, bytes] | None = None
    """Files that go with it."""


def build(kind: Kind, source: Source) -> Exported:
    """Convert and judge one kind of file; fit what belongs to it if it passes."""
    say(f"export: {kind.name}")
    data = tflite.convert(
        source.fitted.model, source.fitted.recipe.input, kind, source.fitted.side("train").images
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / kind.file
        path.write_bytes(data)
        try:
            return _judge(kind, source, path)
        except ModelError as error:
            return _failed(kind, data, {}, (str(error),))


def _judge(kind: Kind, source: Source, path: Path) -> Exported:
    fitted, data = source.fitted, path.read_bytes()
    scored = {
        side: score_file(path, source.shapes, fitted.side(side), fitted.recipe.input)
        for side in CHECKED
    }
    own = source.answers({side: films.raw for side, films in scored.items()})
    compared = {side: _compare(source, side, own[side], scored[side]) for side in CHECKED}
    numbers = {
        "quantization": kind.name,
        "bytes": len(data),
        "parity": compared,
        "cost": _cost(source, path),
    }
    largest = None if kind.quantization == "int8" else fitted.recipe.max_difference
    if failures := parity.failures(compared["validation"], largest):
        return _failed(
            kind, data, numbers, tuple(f"on validation films: {text}" for text in failures)
        )
    return _fitted(kind, source, path, scored, numbers)


def _compare(source: Source, side: Side, own: Answers, scored: Scored) -> dict[str, Any]:
    films = scored.films
    return parity.compare(
        films.labels,
        films.patients,
        source.network[side],
        own,
        source.threshold,
        source.fitted.recipe.seed,
    )


def _failed(
    kind: Kind, data: bytes, numbers: dict[str, Any], failures: tuple[str, ...]
) -> Exported:
    warn(f"{kind.name} is not shipped: {'; '.join(failures)}")
    return Exported(kind, data, numbers, failures)


def _fitted(
    kind: Kind, source: Source, path: Path, scored: Mapping[Side, Scored], numbers: dict[str, Any]
) -> Exported:
    recipe, data = source.fitted.recipe, path.read_bytes()
    limits, boundary, caught = _gate(source, path)
    shut = {
        side: gate.refused(films.films, films.features, limits, boundary)
        for side, films in scored.items()
    }
    beside = {}
    if boundary is not None:
        name = f"gate/{Path(kind.file).stem}.npy"
        beside[name] = npy.dump(boundary.weights)
        limits = limits.model_copy(
            update={"features": FeatureGate(weights=name, bias=boundary.bias)}
        )
    file = tolerances.File(path, source.shapes, recipe.input, kind.quantization)
    largest = max(side["max_raw_difference"] for side in numbers["parity"].values())
    answers = tolerances.answer_known(
        file, source.pictures, source.fitted.side("validation"), source.python, largest
    )
    model = _model_file(
        kind, source, scored["validation"].only(~shut["validation"]), limits, answers
    )
    shares = {side: float(refused.mean()) for side, refused in shut.items()}
    more = {
        "known": answers.measured,
        "gate": {"train": _training_share(source, limits, boundary, caught), **shares},
        "gate_on_unseen": caught,
    }
    results: dict[str, Any] = {
        side: _results(films, model, shut[side], recipe.seed) for side, films in scored.items()
    }
    return Exported(kind, data, {**numbers, **more, **results}, (), model, beside)


def _gate(source: Source, path: Path) -> tuple[Gate, Boundary | None, dict[str, Any]]:
    """
    Limits, and a boundary where the model gives features and other pictures are there to fit on.
    """
    fitted, spec = source.fitted, source.fitted.recipe.input
    training = fitted.side("train")
    limits, boundary, caught = gate.fit_gate(training), None, {}
    pictures = known_answers.prepared(source.pictures, spec)
    features: NDArray[np.float32] | None = None
    if source.others is not None and source.shapes.features is not None:
        mammograms, changed, others, seen = (
            score_file(path, source.shapes, films, spec)
            for films in (training, gate.changed_copies(training), source.others, pictures)
        )
        limits = gate.loosened(limits)
        copies, features = gate.features_of(changed), gate.features_of(seen)
        caught = gate.on_unseen_halves(mammograms, copies, others)
        boundary = gate.fit_boundary(
            np.concatenate([gate.features_of(mammograms), copies]), gate.features_of(others)
        )
        shut = gate.refused(training, mammograms.features, limits, boundary)
        caught = {**caught, "training_refused": float(shut.mean())}
    return *gate.let_through(limits, boundary, pictures, features), caught


def _training_share(
    source: Source, limits: Gate, boundary: Boundary | None, caught: Mapping[str, Any]
) -> float:
    if boundary is not None:
        return float(caught["training_refused"])
    return gate.refused_share(source.fitted.side("train"), limits)


def _model_file(
    kind: Kind, source: Source, accepted: Scored, limits: Gate, answers: tolerances.Known
) -> ModelFile:
    recipe, labels, raw = source.fitted.recipe, accepted.films.labels, accepted.raw
    platt = calibration.platt(labels, raw)
    scores = calibration.calibrated(raw, platt)
    points = calibration.operating_points(
        labels, scores, recipe.sensitivity, recipe.undecided, DATA
    )
    return ModelFile(
        quantization=kind.quantization,
        calibration=platt,
        operating_points=points,
        gate=limits,
        known_answers=answers.answers,
        tolerance=answers.tolerance,
        reference_histogram=calibration.histogram(scores),
        coverage_risk=calibration.coverage_risk(
            labels, scores, points[calibration.DEFAULT].threshold
        ),
    )


def _results(scored: Scored, model: ModelFile, shut: Refused, seed: int) -> dict[str, Any]:
    """
    Calibrated scores of the file, a refused film counting as one half; `decided` is what the daemon
    calls benign or malignant.
    """
    films, point = scored.films, model.operating_points[calibration.DEFAULT]
    scores = calibration.with_refused(calibration.calibrated(scored.raw, model.calibration), shut)
    decided = calibration.decided(scores, point) & ~shut
    called = (
        metrics.rates(films.labels[decided], scores[decided] >= point.threshold)
        if decided.any()
        else {}
    )
    return {
        **metrics.measure(films.labels, scores, films.patients, point.threshold, seed),
        "refused": int(shut.sum()),
        "decided": {"share": float(decided.mean()), **called},
    }


def _cost(source: Source, path: Path) -> dict[str, Any]:
    """By runtime, each in a fresh process."""
    found = {"litert": cost.measure(Path(sys.executable), path, source.shapes, "litert")}
    if source.python is not None:
        found["tflite-runtime"] = cost.measure(source.python, path, source.shapes, "tflite-runtime")
    return found
