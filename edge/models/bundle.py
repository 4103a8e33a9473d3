"""
A model bundle: a folder with `bundle.json` and the files it names. This module reads and checks it;
it loads no runtime.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.domain import Decision, InputSpec
from edge.errors import ModelError
from edge.system.files import open_regular, read_regular

MANIFEST: Final = "bundle.json"
PREPROCESS_VERSION: Final = 3
"""
Grows with every change of `edge.inference.preprocess` or `edge.inference.image` that moves a score.
"""
EDGETPU_TOLERANCE: Final = 0.02
"""
Of |raw - known answer| on an Edge TPU, where the manifest names none. It computes in the same int8
numbers as the processor and rounds some sums otherwise. Assumed, not measured: there was no
accelerator to measure on.
"""

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Probability = Annotated[float, Field(ge=0, le=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Platt(_Strict):
    """Calibration p = sigmoid(slope * logit(raw) + intercept). Platt (1999)."""

    method: Literal["platt"] = "platt"
    slope: Annotated[float, Field(gt=0)]
    """Positive: calibration never turns the order of two scores."""
    intercept: float
    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = None
    """
    Share of malignant images for which the probabilities hold: that of the images it was fitted on,
    unless it was shifted.
    """


class OperatingPoint(_Strict):
    """A threshold on the calibrated score, its band, and the data it was chosen on."""

    threshold: Probability
    band_low: Probability
    band_high: Probability
    chosen_on: str
    """In words: which data, how many images, by which rule."""


class CoverageRisk(_Strict):
    """
    One width of the band: what is decided with it, and how often that is wrong. Measured on the
    images the band was chosen on.
    """

    undecided: Probability
    """Share of the images nearest to the threshold in rank that the band leaves `indeterminate`."""
    coverage: Probability
    """Share of the images that are decided."""
    risk: Probability
    """Share of the decided images that are called wrongly."""
    sensitivity: Probability
    """Among the decided malignant images; 0 where there are none."""
    specificity: Probability


class FeatureGate(_Strict):
    """A linear boundary on the features of the network: below 0 the picture is no mammogram."""

    weights: str
    """File in the bundle: a numpy array of shape (channels,), float32."""
    bias: float


class Gate(_Strict):
    """What an input must look like to be scored at all; fitted on the training images."""

    min_breast_fraction: Probability
    max_breast_fraction: Probability
    """Share of the image's area that the breast mask covers."""
    min_contrast: Annotated[float, Field(ge=0)]
    """Width of the percentile window over the full range of the stored bits."""
    features: FeatureGate | None = None
    """
    What the limits cannot see, where the model gives features and something other than mammograms
    was there to fit on.
    """


class KnownAnswer(_Strict):
    """A picture in the bundle and the raw score this file gives it."""

    image: str
    raw: Probability


class ModelFile(_Strict):
    """What holds for one model file: all of it fitted on this file's own outputs."""

    quantization: Literal["float32", "float16", "int8"]
    calibration: Platt
    operating_points: Annotated[dict[str, OperatingPoint], Field(min_length=1)]
    gate: Gate
    known_answers: Annotated[tuple[KnownAnswer, ...], Field(min_length=1)]
    tolerance: dict[str, Probability]
    """
    Largest accepted |raw - known answer|, by runtime (`litert`, `tflite-runtime`, `edgetpu`) and,
    as `keras`, measured at export. Without `edgetpu` a compiled file has EDGETPU_TOLERANCE.
    """
    reference_histogram: Annotated[tuple[int, ...], Field(min_length=20, max_length=20)]
    """Calibrated scores of the validation images in 20 equal bins from 0 to 1."""
    coverage_risk: tuple[CoverageRisk, ...] = ()
    """At the default operating point, from no band to a wide one."""
    edgetpu: str | None = None
    """
    File in the bundle: this int8 model as edgetpu_compiler compiled it. All that stands here holds
    for it, too.
    """


class Outputs(_Strict):
    """
    Shapes by which the outputs are told apart; their order in the file is not the Keras order.
    """

    probability: tuple[int, ...]
    logit_map: tuple[int, ...] | None = None
    """(1, rows, columns, 1): its mean is the logit of the probability."""
    features: tuple[int, ...] | None = None
    """(1, channels): the backbone's features averaged over the image, for the input gate."""


class Manifest(_Strict):
    """`bundle.json`. It holds the hash of every other file, so its own hash is the bundle's id."""

    schema_: Annotated[Literal["mammo.bundle/1"], Field(alias="schema")]
    name: str
    version: str
    licence: str
    intended_use: str
    input: InputSpec
    preprocess_version: int
    outputs: Outputs
    labels: tuple[Literal["benign"], Literal["malignant"]]
    """Position 1, `malignant`, is what the probability output means."""
    files: dict[str, Sha256]
    models: Annotated[dict[str, ModelFile], Field(min_length=1)]
    default_model: str
    default_operating_point: str
    training: dict[str, object]
    """Recipe, command, data, patients, prevalence: in words and numbers, for people."""
    scores: dict[str, object]
    """Measured on patients never trained on, with confidence intervals."""

    @model_validator(mode="after")
    def _names_agree(self) -> "Manifest":
        if self.preprocess_version != PREPROCESS_VERSION:
            msg = (
                f"preprocess_version is {self.preprocess_version}, this release "
                f"prepares images as version {PREPROCESS_VERSION}"
            )
            raise ValueError(msg)
        if self.default_model not in self.models:
            msg = f"default_model is {self.default_model!r}, models are {sorted(self.models)}"
            raise ValueError(msg)
        for name, model in self.models.items():
            features = model.gate.features
            compiled = [model.edgetpu] if model.edgetpu else []
            needed = {
                name,
                *(answer.image for answer in model.known_answers),
                *([features.weights] if features else []),
                *compiled,
            }
            if missing := needed - set(self.files):
                msg = f"files has no sha256 of {sorted(missing)}"
                raise ValueError(msg)
            if self.default_operating_point not in model.operating_points:
                msg = f"{name} has no operating point {self.default_operating_point!r}"
                raise ValueError(msg)
            if features and not self.outputs.features:
                msg = f"the gate of {name} looks at features, outputs names none"
                raise ValueError(msg)
            if compiled and model.quantization != "int8":
                msg = (
                    f"{name} is {model.quantization}, an Edge TPU runs int8 "
                    f"alone, and edgetpu names {model.edgetpu}"
                )
                raise ValueError(msg)
        return self

    def model_of(self, file: str) -> ModelFile:
        """What holds for a model file, or for one that was compiled from it."""
        return next(model for name, model in self.models.items() if file in {name, model.edgetpu})

    @property
    def compiled(self) -> str | None:
        """
        The model file of which there is one for an Edge TPU, the default model before others; None
        where there is none.
        """
        names = sorted(self.models, key=lambda name: name != self.default_model)
        return next((name for name in names if self.models[name].edgetpu), None)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle whose files are all there and hash to what the manifest says."""

    folder: Path
    manifest: Manifest
    bundle_id: str
    """SHA-256 of bundle.json, in hex."""

    @property
    def preprocess_id(self) -> str:
        """Names the way pixels become input: same id, same tensor."""
        text = json.dumps(
            [self.manifest.preprocess_version, asdict(self.manifest.input)], sort_keys=True
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def decision(self, file: str, operating_point: str | None = None) -> Decision:
        """
        The threshold and band of one operating point of one model file.

        Raises:
            ModelError: the bundle has no such operating point.
        """
        name = operating_point or self.manifest.default_operating_point
        points = self.manifest.model_of(file).operating_points
        if name not in points:
            msg = f"operating point is {name!r}, the bundle has {', '.join(sorted(points))}"
            raise ModelError(msg)
        point = points[name]
        return Decision(name, point.threshold, point.band_low, point.band_high)


def sha256_of(path: Path) -> str:
    """
    SHA-256 of a file's bytes, in hex. Raises OSError: it cannot be read, or is no regular file: a
    FIFO would be waited at.
    """
    with open_regular(path, follow=True) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(data: bytes) -> Manifest:
    """
    Parse `bundle.json`.

    Raises:
        ModelError: it is not JSON, or a key is wrong, missing or unknown; the text names it.
    """
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        msg = f"{MANIFEST}: {where}: {first['msg']}"
        raise ModelError(msg) from None


def verify(folder: Path) -> Bundle:
    """
    Read a bundle and hash every file of it.

    Raises:
        ModelError: a file is missing, or its hash is not the manifest's.
    """
    try:
        data = read_regular(folder / MANIFEST)
    except OSError as error:
        msg = f"{folder}: not a model bundle: {MANIFEST}: {error.strerror}"
        raise ModelError(msg) from None
    manifest = read_manifest(data)
    _check_files(folder, manifest.files)
    return Bundle(folder, manifest, hashlib.sha256(data).hexdigest())


def _check_files(folder: Path, files: Mapping[str, str]) -> None:
    for name, expected in files.items():
        path = folder / name
        try:
            inside = ".." not in Path(name).parts and path.resolve().is_relative_to(
                folder.resolve()
            )
        except (OSError, ValueError, RuntimeError):  # a NUL in it, or links in a circle
            inside = False
        if not inside:
            msg = f"{MANIFEST}: files: {name!r} leaves the bundle's folder"
            raise ModelError(msg)
        try:
            digest = sha256_of(path)
        except OSError as error:
            msg = f"{path}: {error.strerror}"
            raise ModelError(msg) from None
        if digest != expected:
            msg = f"{path}: sha256 is {digest}, {MANIFEST} says {expected}"
            raise ModelError(msg)
