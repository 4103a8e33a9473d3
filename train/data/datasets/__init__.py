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
    """`mass`, `calcification`, ..."""
    box: Box
    """In pixels of the file as it is stored, before any aspect is restored; origin top left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One image file and what is known about it."""

    path: Path
    name: str
    """As it stands in the data set, relative to it."""
    label: Label
    patient: str
    split: Side | None = None
    """The side of the split that the data set itself gives."""
    aspect: float | None = None
    """Rows over columns of the original, where the file was stretched to another shape."""
    laterality: str | None = None
    view: str | None = None
    abnormality: str | None = None
    density: int | None = None
    birads: tuple[int, ...] = ()
    """One a lesion."""
    subtlety: tuple[int, ...] = ()
    """One a lesion."""
    scanner: str | None = None
    lesions: tuple[Lesion, ...] = ()
    """Those whose place is known; none does not mean that there are none."""
    source: str | None = None
    """Of several data sets that are pooled, the one it comes from."""

    @property
    def malignant(self) -> int:
        """1 for malignant, 0 for benign."""
        return int(self.label == "malignant")


@dataclass(frozen=True, slots=True)
class Index:
    """All films of a data set, in a fixed order."""

    source: str
    """Where it came from, as the user typed it."""
    films: tuple[Film, ...]

    @property
    def patients(self) -> frozenset[str]:
        """Everyone in it."""
        return frozenset(film.patient for film in self.films)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what the films are and say, in hex; says nothing about their pixels."""
        lines = (
            f"{film.name}\t{film.label}\t{film.patient}\t{film.split}\t{film.aspect}"
            for film in self.films
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def lesions_fingerprint(self) -> str:
        """SHA-256 over the lesions of the films, in hex: training on pieces depends on them too."""
        return hashlib.sha256(
            "\n".join(f"{film.name}\t{film.lesions}" for film in self.films).encode()
        ).hexdigest()


class DataSet(Protocol):
    """What each file of this package offers."""

    EXPECTED: str
    """Its layout in a few words, for whoever gave something else."""

    def recognises(self, source: Path) -> bool:
        """Whether this is such a data set; looks at names only."""

    def read(self, source: Path) -> "Index":
        """Read it; raises `DataError` where what it says cannot be right."""


def load(source: Sources) -> Index:
    """
    Read a data set, whichever of this package's layouts it has; several are pooled into one index.

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
    """The data sets by themselves."""
    return (source,) if isinstance(source, Path) else tuple(source)


def _pooled(indexes: list[Index]) -> Index:
    """
    All films in one index, each with its data set; where two have a name in common, each film is
    called after its data set too.
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
    """The middle value, or None where there are none."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else None
