"""`mammo-train export`: a finished run, or a model of your own, becomes a bundle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from edge.models.bundle import sha256_of
from edge.models.manifest import PREPROCESS_VERSION, Manifest, Outputs
from edge.models.pointing import KEY as POINTING
from train import wording
from train.data.datasets import Sources
from train.data.digital import Digital
from train.errors import TrainError
from train.exporting import bundle_writer, parity, tflite
from train.exporting.by_domain import DIGITAL
from train.exporting.candidate import Candidate, build
from train.exporting.reference import Reference
from train.fitting.finished_run import FinishedRun, reopen
from train.progress import say
from train.run_folder import RunFolder, write_json
from train.scoring import calibration, negatives

ATTRIBUTION: Final = "ATTRIBUTION"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of the command."""

    data: Sources | None
    """The place of the data set now; None: where `fit` found it."""
    bundle: Path
    version: str
    about_data: str
    """The origin of the training images, what may be done with them, and their limits."""
    tflite_runtime: Path | None
    """The Python of an environment with tflite-runtime."""
    not_mammograms: Sequence[Path] = field(default=())
    """Folders of pictures that the input gate is to turn away."""
    digital: Sources | None = None
    """Data sets of digital mammograms for gate, calibration and measurement, not for weights."""
    prefer: Literal["auto", "float", "int8"] = "auto"
    """The file that the daemon runs if both pass; `auto`: int8 if it answers as float does."""


def export(run: RunFolder, request: Request) -> None:
    """
    Convert, compare, calibrate and write the bundle of a finished run.

    The numbers also go to RUN/export.json.

    Raises:
        TrainError: no exported file says what Keras said.
        ModelError: the written bundle does not verify.
    """
    fitted = reopen(run, request.data)
    if not fitted.recipe.whole:
        msg = (
            f"{run.root}: recipe {fitted.recipe.name} scores pieces about lesions, "
            "the daemon scores whole mammograms; export `default`"
        )
        raise TrainError(msg)
    notes = {**fitted.notes, "model_sha256": sha256_of(run.model)}
    export_fitted(replace(fitted, notes=notes), run, request)


def export_fitted(fitted: FinishedRun, run: RunFolder, request: Request) -> None:
    """Export a run that is open already."""
    unlike = (
        negatives.read(request.not_mammograms, fitted.recipe.input)
        if request.not_mammograms
        else None
    )
    digital = (
        Digital.read(request.digital, fitted.recipe.input, run.cache) if request.digital else None
    )
    reference = Reference(fitted, unlike, request.tflite_runtime, digital)
    tried = _tried(reference)
    shipped = {file.kind.file: file for file in tried if not file.failures}
    unequal = _unequal(shipped, reference)
    default = _default(shipped, request.prefer, unequal)
    numbers = _numbers(tried, default, unequal)
    files = _files(shipped, {**reference.pictures, ATTRIBUTION: request.about_data.encode()})
    bundle = bundle_writer.write(
        request.bundle, files, _manifest(reference, request, shipped, files, numbers)
    )
    model = bundle.manifest.models[default.kind.file]
    written = {
        "bundle_id": bundle.bundle_id,
        "about_data": request.about_data,
        "operating_point": model.operating_points[calibration.DEFAULT].model_dump(),
        "tolerance": model.tolerance,
    }
    write_json(run.exported, {**written, **numbers})
    _tell(request.bundle, bundle.bundle_id, tried, numbers)


def _tried(reference: Reference) -> list[Candidate]:
    """Try float16, else float32; and int8, else int8 with its pooling in float."""
    found = []
    for kinds in ((tflite.FLOAT16, tflite.FLOAT32), (tflite.INT8, tflite.INT8_FLOAT_POOLING)):
        for kind in kinds:
            found.append(build(kind, reference))
            if not found[-1].failures:
                break
    return found


def _default(shipped: Mapping[str, Candidate], prefer: str, unequal: Sequence[str]) -> Candidate:
    if not shipped:
        msg = (
            "no exported file says what Keras says (the warnings "
            "above say why); nothing was written"
        )
        raise TrainError(msg)
    whole, small = shipped.get(tflite.FLOAT16.file), shipped.get(tflite.INT8.file)
    int8 = prefer == "int8" or (prefer == "auto" and not unequal)
    first, second = (small, whole) if int8 else (whole, small)
    return first or second or next(iter(shipped.values()))


def _unequal(shipped: Mapping[str, Candidate], reference: Reference) -> tuple[str, ...]:
    """Say why the int8 file does not serve in the place of the float one; empty if it may."""
    whole, small = shipped.get(tflite.FLOAT16.file), shipped.get(tflite.INT8.file)
    if whole is None or small is None:
        return ()
    # Test patients choose nothing: film is judged on validation patients, and digital on data sets
    # of its own, unless the run's own test side was measured in their place.
    given = reference.digital.data if reference.digital else None
    measured = [file.numbers["measured"].get(DIGITAL, {}) for file in (whole, small)]
    aucs = [one["auc"] for one in measured if one and one.get("data") == given]
    drops = {DIGITAL: aucs[0] - aucs[1]} if len(aucs) == len(measured) else {}
    return parity.unequal(small.numbers["parity"]["validation"], drops)


def _numbers(
    tried: Sequence[Candidate], default: Candidate, unequal: Sequence[str]
) -> dict[str, Any]:
    """Gather the numbers: those of the default file at the top, and those of all files tried."""
    main = default.numbers
    compared = main["parity"]
    images = sum(side["images"] for side in compared.values())
    # Both differences are of raw scores, over the same films.
    agreement = {
        "images": images,
        "max_difference": max(side["max_raw_difference"] for side in compared.values()),
        "mean_difference": sum(
            side["mean_raw_difference"] * side["images"] for side in compared.values()
        )
        / images,
        "test_auc_change": -compared["test"]["auc_drop"],
        **main["known"],
    }
    files = [
        {
            "file": file.kind.file,
            "shipped": not file.failures,
            "failures": list(file.failures),
            **file.numbers,
        }
        for file in tried
    ]
    return {
        "default": default.kind.file,
        "default_because": _why(tried, default, unequal),
        "bytes": main["bytes"],
        "agreement": agreement,
        "gate": main["gate"],
        "gate_on_unseen": main["gate_on_unseen"],
        "validation": main["validation"],
        "test": main["test"],
        POINTING: main[POINTING],
        "files": files,
    }


def _why(tried: Sequence[Candidate], default: Candidate, unequal: Sequence[str]) -> str:
    rest = [file for file in tried if file is not default]
    passed = [
        f"{file.kind.file} ({file.kind.name}) {_cost(file)}" for file in rest if not file.failures
    ]
    failed = [
        f"{file.kind.name} fails: {'; '.join(file.failures)}" for file in rest if file.failures
    ]
    chosen = f"{default.kind.file} ({default.kind.name}), {_cost(default)}"
    reason = (
        "its scores and maps are the network's own"
        if default.kind.quantization != "int8"
        else "it was asked for, alone passed, or answers as the float file does"
    )
    beside = (
        [f"int8 differs from it on validation patients: {', '.join(unequal)}"] if unequal else []
    )
    return ". ".join(
        [
            f"{chosen}: {reason}",
            *(f"Shipped beside it: {text}" for text in passed),
            *beside,
            *failed,
        ]
    )


def _cost(file: Candidate) -> str:
    litert = file.numbers["cost"]["litert"]
    return (
        f"{litert['median_ms']:g} ms an image with one thread of "
        f"litert, {file.numbers['bytes'] / 1e6:.1f} MB"
    )


def _files(shipped: Mapping[str, Candidate], common: Mapping[str, bytes]) -> dict[str, bytes]:
    models = {name: file.data for name, file in shipped.items()}
    beside = {name: data for file in shipped.values() for name, data in file.companions.items()}
    return {**models, **beside, **common}


def _manifest(
    reference: Reference,
    request: Request,
    shipped: Mapping[str, Candidate],
    files: Mapping[str, bytes],
    numbers: Mapping[str, Any],
) -> Manifest:
    recipe, notes, shapes = reference.run.recipe, reference.run.notes, reference.shapes
    counts = notes["split"]["train"]
    training = {
        **{
            name: notes[name]
            for name in (
                "command",
                "data",
                "index_fingerprint",
                "split",
                "times",
                "versions",
                "model_sha256",
            )
        },
        "seed": recipe.seed,
        "recipe": recipe.name,
        "summary": recipe.summary,
        "prevalence": counts["malignant"] / counts["images"],
        "operating_point": {"sensitivity": recipe.sensitivity, "undecided": recipe.undecided},
        "about_data": request.about_data,
        **{
            name: numbers[name]
            for name in ("agreement", "gate", "gate_on_unseen", "default_because")
        },
        "files": [
            {name: value for name, value in file.items() if name not in {"validation", "test"}}
            for file in numbers["files"]
        ],
    }
    values = {
        "schema": "mammo.bundle/1",
        "name": f"mammo-{recipe.name}",
        "version": request.version,
        "licence": wording.LICENCE,
        "intended_use": wording.INTENDED_USE,
        "input": recipe.input,
        "preprocess_version": PREPROCESS_VERSION,
        "outputs": Outputs(
            probability=shapes.probability,
            logit_map=shapes.logit_map,
            features=shapes.features,
            pooling=shapes.pooling,
        ),
        "labels": ("benign", "malignant"),
        "files": bundle_writer.digests(files),
        "models": {name: file.model for name, file in shipped.items()},
        "default_model": numbers["default"],
        "default_operating_point": calibration.DEFAULT,
        "training": training,
        "scores": {
            name: numbers[name] for name in ("validation", "test", POINTING) if numbers[name]
        },
    }
    return Manifest.model_validate(values)


def _tell(
    folder: Path, bundle_id: str, tried: Sequence[Candidate], numbers: Mapping[str, Any]
) -> None:
    test = numbers["test"]
    low, high = test["intervals_95"]["auc"]
    say(
        f"exported file: AUC {test['auc']:.3f} ({low:.3f} to "
        f"{high:.3f}) on {test['patients']} test patients"
    )
    say(f"default: {numbers['default_because']}")
    size = sum(len(file.data) for file in tried if not file.failures)
    say(f"bundle {bundle_id[:12]} in {folder}: {size / 1e6:.1f} MB of models")
