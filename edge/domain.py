"""The nouns of mammo-edge: an image's facts, its outcome, and the input that a model wants."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal, TypeAlias

from edge.errors import Reason

OWN: Final = "mammo-edge"
"""The manufacturer of every DICOM object that we make; none of them is ever scored."""

Label: TypeAlias = Literal["benign", "malignant", "indeterminate"]
Source: TypeAlias = Literal["folder", "mqtt", "retry"]
"""The way by which an image came."""
Laterality: TypeAlias = Literal["L", "R"]
Aspect: TypeAlias = Literal["pad", "squeeze"]
Domain: TypeAlias = Literal["film", "digital", "unknown"]
"""The kind of machine that a mammogram comes from, a scanned film or a digital detector."""
Withheld: TypeAlias = Literal["domain-unmeasured", "domain-at-chance"]
"""
The reasons to give no label whatever the score is: the model was not measured on such mammograms,
or there it did not rank better than chance.
"""
KnownBy: TypeAlias = Literal["header", "pixels"]
"""The evidence for the domain of an image."""
Pooling: TypeAlias = Literal["mean", "max"]
"""The way from a model's logit map to its logit: the mean of the cells, or the highest."""
Implants: TypeAlias = Literal["accept", "flag", "reject"]
"""The ways to treat breasts with implants."""
Flag: TypeAlias = Literal[
    "other-modality",
    "implant",
    "implant-displaced",
    "partial-view",
    "contrast",
    "synthesized",
    "burned-in-annotation",
    "for-processing",
    "other-body-part",
    "unapplied-lut",
    "non-square-pixels",
]
"""Reasons to take a score with caution; docs/reference/dicom.md explains each."""


def _between(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        msg = f"{name} is {value}, expected {low} to {high}"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Published facts about the pixels: no identity, no name, no date."""

    rows: int
    columns: int
    bits: int
    """Bits stored per pixel, 1 to 16."""
    photometric: str
    """DICOM's Photometric Interpretation; a raster image is MONOCHROME2."""
    format: str
    """`dicom`, `png`, `jpeg`, ..."""
    laterality: Laterality | None = None
    view: str | None = None
    """DICOM's View Position (CC, MLO, ...)."""
    transfer_syntax: str | None = None
    """DICOM's transfer syntax name."""
    turned: bool = False
    """Bright and dark were exchanged before the model looked: the picture was a negative."""
    flags: tuple[Flag, ...] = ()
    """Entries of the header that call for caution."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The UIDs that link a result to its DICOM object; they are published only as a keyed HMAC."""

    sop_instance_uid: str = field(repr=False)
    study_instance_uid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Provenance:
    """The woman and the machine that an image is of, by its header; never published."""

    woman: str | None = field(repr=False)
    """Issuer of Patient ID and Patient ID; the ledger has a keyed HMAC of it."""
    machine: str | None = field(repr=False)
    """Maker, model and serial number; the ledger has a keyed HMAC of it."""
    maker: str | None
    """From a closed list; None if the header names none."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The way from pixels to the model's input; every field is part of the preprocessing id."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid"}

    height: int
    width: int
    channels: int
    low: float
    """The model input that stands for black."""
    high: float
    """The model input that stands for white."""
    aspect: Aspect
    """`pad` keeps the true aspect; `squeeze` stretches the crop to height x width."""
    crop: bool
    """True cuts the image to the breast."""
    percentile_low: float
    percentile_high: float
    """The window, in percent of the pixels inside the breast."""
    mask: bool = False
    """True makes everything outside the breast black: labels, film borders, scanner noise."""

    def __post_init__(self) -> None:
        """Refuse an input that no model can have."""
        for name in ("height", "width"):
            _between(name, getattr(self, name), 16, 4096)
        if self.channels not in (1, 3):
            msg = f"channels is {self.channels}, expected 1 or 3"
            raise ValueError(msg)
        if not self.low < self.high:
            msg = f"low is {self.low}, expected less than high, which is {self.high}"
            raise ValueError(msg)
        if not 0 <= self.percentile_low < self.percentile_high <= 100:  # noqa: PLR2004 - percent
            msg = (
                f"percentiles are {self.percentile_low} and "
                f"{self.percentile_high}, expected 0 <= low < high <= 100"
            )
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in original pixel coordinates, origin top left, max exclusive."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The model's logit map as a small grid over `box`, rows from top to bottom."""

    values: tuple[tuple[float, ...], ...]
    box: Box


@dataclass(frozen=True, slots=True)
class Finding:
    """A peak of the map of malignancy, in original pixels, origin top left."""

    x: float
    y: float
    """`x` and `y`: the place of the peak, the centre of its cell."""
    box: Box
    """The cells around the peak that lie above half of its height over the breast's median."""
    probability: float
    """The calibrated score that the image would have if this peak were its highest."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The kind of machine that an image comes from, and if the model was measured there."""

    domain: Domain
    known_by: KnownBy | None
    """None for an unknown domain."""
    measured: bool | None
    """None if the bundle does not say on what it was measured."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A named operating point: the threshold on the calibrated score and the band around it."""

    operating_point: str
    threshold: float
    band_low: float
    band_high: float
    """Scores with band_low <= p < band_high are `indeterminate`; an empty band has both equal."""

    def __post_init__(self) -> None:
        """Refuse a threshold outside its band."""
        _between("threshold", self.threshold, 0, 1)
        _between("band_low", self.band_low, 0, self.threshold)
        _between("band_high", self.band_high, self.threshold, 1)

    def label(self, malignant: float) -> Label:
        """Return the label of a calibrated score (0 to 1) at this operating point."""
        if self.band_low <= malignant < self.band_high:
            return "indeterminate"
        return "malignant" if malignant >= self.threshold else "benign"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's answer for one image."""

    malignant: float
    """Calibrated probability of malignancy, 0 to 1."""
    raw: float
    """The model's own output, 0 to 1."""
    decision: Decision
    heatmap: HeatMap | None = None
    findings: tuple[Finding, ...] | None = None
    """The highest peak of the map first; None if the map is not pooled by its highest cell."""
    origin: Origin | None = None
    withheld: Withheld | None = None
    """The reason to give no label, whatever the score is; None if the score decides."""

    def __post_init__(self) -> None:
        """Refuse values outside 0 to 1, NaN included."""
        _between("malignant", self.malignant, 0, 1)
        _between("raw", self.raw, 0, 1)

    @property
    def label(self) -> Label:
        """`benign`, `malignant` or `indeterminate`."""
        return "indeterminate" if self.withheld else self.decision.label(self.malignant)


@dataclass(frozen=True, slots=True)
class Runtime:
    """The software that computed the score."""

    backend: str
    """`litert`, `tflite-runtime` or `edgetpu`."""
    file: str
    """The bundle's model file."""
    threads: int
    fallback: bool = False
    """True if this is not the backend that was asked for."""
    without: str | None = None
    """The reason for a missing accelerator, a sentence; None if none is wanted or missing."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The wall-clock time of each step in the worker, in milliseconds."""

    decode: float = 0.0
    prepare: float = 0.0
    infer: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of an image that the model scored."""

    facts: ImageFacts
    prediction: Prediction
    runtime: Runtime
    timing: Timing
    identity: Identity | None = None
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """The outcome of an image that got no score, with the reason."""

    reason: Reason
    detail: str
    facts: ImageFacts | None = None
    runtime: Runtime | None = None
    timing: Timing = Timing()
    identity: Identity | None = None

    @property
    def text(self) -> str:
        """The sentence that is published."""
        return f"{self.reason}: {self.detail}"


Outcome: TypeAlias = Result | Rejection
"""The outcome of an image: exactly one, never both, never neither."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """The numbers that the ledger gives a result in the transaction that records it."""

    seq: int
    ledger_id: str
    source: Source
    received_at: float
    supersedes: str | None = None
    duplicate_of: int | None = None
