"""
One exported file on its way into a bundle.

A candidate is converted, compared with the network, and shipped only if it says the same.
Everything that the manifest says of a file is fitted on the file's own outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge.errors import ModelError
from edge.models.manifest import Gate, ModelFile
from edge.models.pointing import KEY as POINTING
from train.data.index import Side
from train.exporting import by_domain, fitted_gate, measurement, parity, tflite, tolerances
from train.exporting.reference import CHECKED, FITTED_ON, Reference
from train.exporting.tflite import Conversion
from train.progress import say, warn
from train.scoring import calibration, pointing_game
from train.scoring.score import Scored, score_file


@dataclass(frozen=True, slots=True)
class Candidate:
    """A converted file with its verdict."""

    kind: Conversion
    data: bytes
    numbers: dict[str, Any]
    """Parity, cost, gate and scores, for the manifest and the report."""
    failures: tuple[str, ...] = ()
    """Why the file is not shipped; empty if it passed."""
    model: ModelFile | None = None
    """The file's entry in the manifest; None if it failed."""
    companions: Mapping[str, bytes] = field(default_factory=dict)
    """Files that go with it, by their names in the bundle."""


def build(kind: Conversion, reference: Reference) -> Candidate:
    """Convert and judge one kind of file; fit what belongs to it if it passes."""
    say(f"export: {kind.name}")
    run = reference.run
    network = run.int8 if kind.quantization == "int8" and run.int8 else run.model
    data = tflite.convert(network, run.recipe.input, kind, run.side("train").images)
    with TemporaryDirectory() as folder:
        path = Path(folder) / kind.file
        path.write_bytes(data)
        try:
            return _judge(kind, reference, path)
        except ModelError as error:
            return _failed(Candidate(kind, data, {}, (str(error),)))


def _judge(kind: Conversion, reference: Reference, path: Path) -> Candidate:
    run, data = reference.run, path.read_bytes()
    scored = {
        side: score_file(path, reference.shapes, run.side(side), run.recipe.input)
        for side in CHECKED
    }
    compared = _compare(reference, scored)
    numbers = {
        "quantization": kind.name,
        "bytes": len(data),
        "parity": compared,
        "cost": measurement.costs(reference, path),
    }
    largest = None if kind.quantization == "int8" else run.recipe.max_difference
    failures = parity.failures(compared["validation"], largest)
    if failures:
        texts = tuple(f"on validation films: {text}" for text in failures)
        return _failed(Candidate(kind, data, numbers, texts))
    return _passed(Candidate(kind, data, numbers), reference, path, scored)


def _compare(reference: Reference, scored: Mapping[Side, Scored]) -> dict[Side, dict[str, Any]]:
    """Compare the file's answers with the network's on each side."""
    own = reference.calibrated({side: films.raw for side, films in scored.items()})
    return {
        side: parity.compare(
            films.films.labels,
            films.films.patients,
            reference.answers[side],
            own[side],
            reference.threshold,
            reference.run.recipe.seed,
        )
        for side, films in scored.items()
    }


def _failed(candidate: Candidate) -> Candidate:
    warn(f"{candidate.kind.name} is not shipped: {'; '.join(candidate.failures)}")
    return candidate


def _passed(
    candidate: Candidate, reference: Reference, path: Path, scored: Mapping[Side, Scored]
) -> Candidate:
    """Fit gate, calibration and tolerances, and measure the file with them."""
    kind, seed = candidate.kind, reference.run.recipe.seed
    digital = _digital(reference, path)
    gate = fitted_gate.fit(reference, path, digital)
    shut = {side: gate.refused(films) for side, films in scored.items()}
    limits, companions = gate.in_bundle(kind.file)
    known = _known(candidate, reference, path)
    accepted = scored["validation"].only(~shut["validation"])
    model = by_domain.with_domains(
        _entry(kind, reference, accepted, limits, known), reference, scored, digital, gate.refused
    )
    shares = {side: float(refused.mean()) for side, refused in shut.items()}
    numbers: dict[str, Any] = {
        **candidate.numbers,
        "known": known.measured,
        "gate": {"train": gate.training_refused, **shares},
        "measured": by_domain.numbers_of(model),
        "gate_on_unseen": gate.on_unseen,
        POINTING: pointing_game.play(scored["test"], reference.run.recipe.input, seed),
        **{
            side: measurement.scores(films, model, shut[side], seed)
            for side, films in scored.items()
        },
    }
    return Candidate(kind, candidate.data, numbers, (), model, companions)


def _digital(reference: Reference, path: Path) -> Scored | None:
    """Score the digital mammograms, if there are any."""
    if reference.digital is None:
        return None
    return score_file(path, reference.shapes, reference.digital.films, reference.run.recipe.input)


def _known(candidate: Candidate, reference: Reference, path: Path) -> tolerances.KnownAnswers:
    """Give the known answers, and how far each runtime may be from them."""
    run, kind = reference.run, candidate.kind
    file = tolerances.ExportedFile(path, reference.shapes, run.recipe.input, kind.quantization)
    largest = max(side["max_raw_difference"] for side in candidate.numbers["parity"].values())
    films = run.side("validation")
    return tolerances.answer_known(
        file, reference.pictures, films, reference.tflite_runtime, largest
    )


def _entry(
    kind: Conversion,
    reference: Reference,
    accepted: Scored,
    limits: Gate,
    known: tolerances.KnownAnswers,
) -> ModelFile:
    """Write the file's entry in the manifest, calibrated on the films that pass the gate."""
    recipe, labels, raw = reference.run.recipe, accepted.films.labels, accepted.raw
    platt = calibration.platt(labels, raw)
    scores = calibration.calibrated(raw, platt)
    points = calibration.operating_points(
        labels, scores, recipe.sensitivity, recipe.undecided, FITTED_ON
    )
    threshold = points[calibration.DEFAULT].threshold
    return ModelFile(
        quantization=kind.quantization,
        calibration=platt,
        operating_points=points,
        gate=limits,
        known_answers=known.answers,
        tolerance=known.tolerance,
        reference_histogram=calibration.histogram(scores),
        coverage_risk=calibration.coverage_risk(labels, scores, threshold),
    )
