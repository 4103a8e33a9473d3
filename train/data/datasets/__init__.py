"""
Data sets: one file each, all giving the same typed index of films.

A new one is one new file with `EXPECTED`, `recognises` and `read`, as `DataSet` below says.
"""

import hashlib
import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias, cast

from edge.domain import Box
from train.errors import DataError

Label: TypeAlias = Literal["benign", "malignant"]
Side: TypeAlias = Literal["train", "validation", "test"]

Sources: TypeAlias = Path | Sequence[Path]
"""One data set, or several to be pooled."""

LABELS: Final[tuple[Label, Label]] = ("benign", "malignant")
SIDES: Final[tuple[Side, Side, Side]] = ("train", "validation", "test")


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


class DataSet(Protocol):
    """The interface of each file of this package."""

    EXPECTED: str
    """The layout in a few words, for whoever gave something else."""

    def recognises(self, source: Path) -> bool:
        """Tell if the source is such a data set; only names are looked at."""

    def read(self, source: Path) -> "Index":
        """Read the source; raise `DataError` if what it says cannot be right."""


def load(source: Sources) -> Index:
    """
    Read a data set of any layout known here, or pool several into one index.

    A woman who stands in several of them must have the same patient id in all, so that no split
    tears her apart. One known to have two ids in CBIS-DDSM gets one.

    Raises:
        DataError: it is none of them, or what it says cannot be right.
    """
    # Both import the types above.
    from train.data.datasets._checks import checked  # noqa: PLC0415
    from train.data.datasets._one_woman import united  # noqa: PLC0415

    return checked(united(_pooled([_reader(path).read(path) for path in paths_of(source)])))


def paths_of(source: Sources) -> tuple[Path, ...]:
    """List the data sets one by one."""
    return (source,) if isinstance(source, Path) else tuple(source)


def _pooled(indexes: list[Index]) -> Index:
    """
    Pool all films in one index, each with its data set.

    Films of two data sets with a name in common are called after their data set too.
    """
    if len(indexes) == 1:
        return indexes[0]
    names = Counter(film.name for index in indexes for film in index.films)
    sources = Counter(Path(index.source).stem for index in indexes)
    films: list[Film] = []
    for index in indexes:
        stem = Path(index.source).stem
        source = stem if sources[stem] == 1 else index.source
        films += [
            replace(
                film,
                source=source,
                name=f"{stem}/{film.name}" if names[film.name] > 1 else film.name,
            )
            for film in index.films
        ]
    return Index(" + ".join(index.source for index in indexes), tuple(films))


def _reader(source: Path) -> DataSet:
    known = [
        cast("DataSet", importlib.import_module(f"{__name__}.{module.name}"))
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_")
    ]
    found = [reader for reader in known if reader.recognises(source)]
    if len(found) == 1:
        return found[0]
    expected = "; ".join(reader.EXPECTED for reader in found or known)
    if found:
        msg = f"{source}: it could be either of these, expected only one: {expected}"
    elif source.is_dir():
        names = ", ".join(sorted(path.name for path in source.iterdir())[:5]) or "nothing"
        msg = f"{source}: no data set known here; found {names}; expected one of: {expected}"
    else:
        msg = f"{source}: no such file or folder; expected one of: {expected}"
    raise DataError(msg)


def median(values: Iterable[float]) -> float | None:
    """Give the middle value, or None if there are no values."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else None
