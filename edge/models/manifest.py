"""`bundle.json`: everything that is said of a model and its files, as models."""

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.domain import Domain, InputSpec, Pooling
from edge.errors import ModelError

MANIFEST: Final = "bundle.json"
PREPROCESS_VERSION: Final = 4
"""Grows with every change of `edge.inference` that moves a score."""
EDGETPU_TOLERANCE: Final = 0.02
"""
Largest |raw - known answer| on an Edge TPU if the manifest names none, assumed and not measured. It
computes in the processor's int8 numbers and rounds some sums otherwise.
"""

CHANCE: Final = 0.5
"""The AUC of a model that knows nothing."""

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
    Share of malignant images for which the probabilities hold. It is that of the images of the fit,
    unless it was shifted.
    """


class OperatingPoint(_Strict):
    """A threshold on the calibrated score, its band, and the data it was chosen on."""

    threshold: Probability
    band_low: Probability
    band_high: Probability
    chosen_on: str
    """Data, number of images and rule, in words."""


class CoverageRisk(_Strict):
    """
    One width of the band: the share that is decided, and how often that is wrong.

    Measured on the images that the band was chosen on.
    """

    undecided: Probability
    """Share of the images nearest to the threshold in rank that the band leaves `indeterminate`."""
    coverage: Probability
    """Share of the images that are decided."""
    risk: Probability
    """Share of the decided images that are called wrongly."""
    sensitivity: Probability
    """Among the decided malignant images; 0 if there are none."""
    specificity: Probability


class FeatureGate(_Strict):
    """A linear boundary on the features of the network: below 0 the picture is no mammogram."""

    weights: str
    """File in the bundle: a numpy array of shape (channels,), float32."""
    bias: float


class Gate(_Strict):
    """The limits for an input to be scored at all, fitted on the training images."""

    min_breast_fraction: Probability
    max_breast_fraction: Probability
    """Share of the image's area that the breast mask covers."""
    min_contrast: Annotated[float, Field(ge=0)]
    """Width of the percentile window over the full range of the stored bits."""
    features: FeatureGate | None = None
    """A further limit for models that give features, fitted on pictures that are no mammograms."""


class Measured(_Strict):
    """The mammograms of one domain that a file was measured on; it has learnt from none of them."""

    data: str
    """Data set, patients and machines, in words."""
    images: Annotated[int, Field(gt=0)]
    malignant: Annotated[int, Field(ge=0)]
    patients: Annotated[int, Field(gt=0)]
    auc: Probability
    """Of single images, not of breasts or women."""
    interval_95: tuple[Probability, Probability]
    """Of the AUC, over patients."""

    @property
    def at_chance(self) -> bool:
        """True if the interval does not lie above one half: it may rank no better than chance."""
        return self.interval_95[0] <= CHANCE


class DomainFit(_Strict):
    """Calibration and operating points for images of one domain, instead of the file's."""

    calibration: Platt
    operating_points: Annotated[dict[str, OperatingPoint], Field(min_length=1)]


class KnownAnswer(_Strict):
    """A picture in the bundle and the raw score this file gives it."""

    image: str
    raw: Probability


class ModelFile(_Strict):
    """The facts of one model file, all fitted on this file's own outputs."""

    quantization: Literal["float32", "float16", "int8"]
    calibration: Platt
    operating_points: Annotated[dict[str, OperatingPoint], Field(min_length=1)]
    gate: Gate
    known_answers: Annotated[tuple[KnownAnswer, ...], Field(min_length=1)]
    tolerance: dict[str, Probability]
    """
    Largest accepted |raw - known answer|, by runtime and, as `keras`, measured at export. Without
    `edgetpu` a compiled file has EDGETPU_TOLERANCE.
    """
    reference_histogram: Annotated[tuple[int, ...], Field(min_length=20, max_length=20)]
    """Calibrated scores of the validation images in 20 equal bins from 0 to 1."""
    coverage_risk: tuple[CoverageRisk, ...] = ()
    """At the default operating point, from no band to a wide one."""
    measured: dict[Domain, Measured] | None = None
    """
    By domain; images of other domains get no label. None: nothing is said of domains, and every
    image gets one.
    """
    by_domain: dict[Domain, DomainFit] = Field(default_factory=dict)
    """Domains whose scores mean something else than those of the calibration above."""
    breasts: dict[Domain, DomainFit] = Field(default_factory=dict)
    """
    Calibration of the mean raw logit of CC and MLO of a breast, by domain. Without that of a domain
    no exam of it is published.
    """
    edgetpu: str | None = None
    """
    File in the bundle: this int8 model as edgetpu_compiler compiled it. All facts here hold for it,
    too.
    """

    def fit_of(self, domain: Domain) -> DomainFit:
        """Return calibration and operating points for single images of a domain."""
        own = self.by_domain.get(domain)
        return own or DomainFit(
            calibration=self.calibration, operating_points=self.operating_points
        )


class Outputs(_Strict):
    """Shapes that tell the outputs apart; their order in the file is not the Keras order."""

    probability: tuple[int, ...]
    logit_map: tuple[int, ...] | None = None
    """(1, rows, columns, 1): pooled, it is the logit of the probability."""
    features: tuple[int, ...] | None = None
    """(1, channels): the backbone's features averaged over the image, for the input gate."""
    pooling: Pooling = "mean"
    """The way from the logit map to the logit: the mean of its cells, or the highest of them."""


class Manifest(_Strict):
    """`bundle.json`, which holds the hash of every other file: its own hash is the bundle's id."""

    schema_: Annotated[Literal["mammo.bundle/1"], Field(alias="schema")]
    name: str
    version: str
    licence: str
    intended_use: str
    input: InputSpec
    preprocess_version: int
    outputs: Outputs
    labels: tuple[Literal["benign"], Literal["malignant"]]
    """Position 1, `malignant`, is the meaning of the probability output."""
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
            self._check_model(name, model)
        return self

    def _check_model(self, name: str, model: ModelFile) -> None:
        features = model.gate.features
        needed = {name, *(answer.image for answer in model.known_answers)}
        needed |= {features.weights} if features else set()
        needed |= {model.edgetpu} if model.edgetpu else set()
        if missing := needed - set(self.files):
            msg = f"files has no sha256 of {sorted(missing)}"
            raise ValueError(msg)
        if self.default_operating_point not in model.operating_points:
            msg = f"{name} has no operating point {self.default_operating_point!r}"
            raise ValueError(msg)
        for word, fits in (("domain", model.by_domain), ("breasts of", model.breasts)):
            for domain, fit in fits.items():
                if set(fit.operating_points) != set(model.operating_points):
                    msg = (
                        f"{name} has operating points {sorted(model.operating_points)}, its "
                        f"{word} {domain} has {sorted(fit.operating_points)}"
                    )
                    raise ValueError(msg)
        if features and not self.outputs.features:
            msg = f"the gate of {name} looks at features, outputs names none"
            raise ValueError(msg)
        if model.edgetpu and model.quantization != "int8":
            msg = (
                f"{name} is {model.quantization}, an Edge TPU runs int8 "
                f"alone, and edgetpu names {model.edgetpu}"
            )
            raise ValueError(msg)

    def model_of(self, file: str) -> ModelFile:
        """Return the facts of a model file, or of the file that it was compiled from."""
        return next(model for name, model in self.models.items() if file in {name, model.edgetpu})

    @property
    def compiled(self) -> str | None:
        """
        The model file that has been compiled for an Edge TPU; None if there is none.

        The default model goes before others.
        """
        names = sorted(self.models, key=lambda name: name != self.default_model)
        return next((name for name in names if self.models[name].edgetpu), None)


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
