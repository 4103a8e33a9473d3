"""Films, their lesions and labels, and the index of all films of a data set."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from edge.domain import Box

Label: TypeAlias = Literal["benign", "malignant"]
Side: TypeAlias = Literal["train", "validation", "test"]
Domain: TypeAlias = Literal["film", "digital"]
"""The kind of machine that made a mammogram: a scanner of films, or a detector."""

LABELS: Final[tuple[Label, Label]] = ("benign", "malignant")
SIDES: Final[tuple[Side, Side, Side]] = ("train", "validation", "test")
DOMAINS: Final[tuple[Domain, Domain]] = ("film", "digital")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One finding that a radiologist outlined on a film."""

    label: Label
    abnormality: str | None
    """The kind of finding: `mass`, `calcification`, ..."""
    box: Box
    """
    A box in pixels of the file as it is stored, before any aspect is restored; origin top left.
    """
    descriptors: tuple[str, ...] = ()
    """The radiologist's words, such as `margins SPICULATED` or `birads 5`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """An image file and what is known about it."""

    path: Path
    name: str
    """The path of the file, relative to the data set."""
    label: Label
    patient: str
    split: Side | None = None
    """The side of the split that the data set itself gives."""
    aspect: float | None = None
    """Rows over columns of the original, if the file was stretched to another shape."""
    laterality: str | None = None
    view: str | None = None
    abnormality: str | None = None
    density: int | None = None
    birads: tuple[int, ...] = ()
    """BI-RADS category of each lesion."""
    subtlety: tuple[int, ...] = ()
    """Subtlety of each lesion."""
    scanner: str | None = None
    lesions: tuple[Lesion, ...] = ()
    """The lesions whose place is known; an empty tuple does not mean that there are none."""
    source: str | None = None
    """The data set that the film comes from, if several are pooled."""
    domain: Domain | None = None
    """The kind of machine, as far as the data set says; `film` is also our word for any image."""

    @property
    def malignant(self) -> int:
        """Give 1 for malignant, 0 for benign."""
        return int(self.label == "malignant")


@dataclass(frozen=True, slots=True)
class Index:
    """All films of a data set, in a fixed order."""

    source: str
    """The place of the data set, as the user typed it."""
    films: tuple[Film, ...]

    @property
    def patients(self) -> frozenset[str]:
        """Give the ids of all patients."""
        return frozenset(film.patient for film in self.films)

    @property
    def fingerprint(self) -> str:
        """Hash what the films are and say (SHA-256, hex); their pixels do not count."""
        lines = (
            f"{film.name}\t{film.label}\t{film.patient}\t{film.split}\t{film.aspect}"
            for film in self.films
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def lesions_fingerprint(self) -> str:
        """Hash the lesions of the films (SHA-256, hex): training on pieces depends on them too."""
        return hashlib.sha256(
            "\n".join(f"{film.name}\t{film.lesions}" for film in self.films).encode()
        ).hexdigest()
