"""A score and what was found out about its image or exam: all it takes to measure a model."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from edge.domain import Domain

Truth: TypeAlias = Literal["malignant", "benign"]
Basis: TypeAlias = Literal["biopsy", "follow-up", "reader"]
"""The evidence for a truth; `reader` is the opinion of whoever read the images."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One image, or one exam, with a score and a verdict."""

    truth: Truth
    basis: Basis
    score_seen: bool
    """True if whoever judged had seen the score."""
    bundle_id: str
    model: str
    """SHA-256 of the model file."""
    preprocess: str
    raw: float
    """The model's own output, 0 to 1; of an exam the sigmoid of the breast's mean logit."""
    malignant: float
    """The calibrated score, 0 to 1."""
    threshold: float
    """A calibrated score of at least this was called malignant."""
    domain: Domain
    view: str | None = None
    maker: str | None = None
    machine: str | None = None
    """A pseudonym."""
    woman: str | None = None
    """A pseudonym; None if the header named none, or an earlier release examined the image."""

    @property
    def is_malignant(self) -> bool:
        """True if the verdict says so."""
        return self.truth == "malignant"

    @property
    def called(self) -> bool:
        """True if the score reached the threshold."""
        return self.malignant >= self.threshold


@dataclass(frozen=True, slots=True)
class Calls:
    """Scored images, or exams, that the model called malignant, or that it did not call."""

    images: int
    with_verdict: int
