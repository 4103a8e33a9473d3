"""Data sets: one file each, all giving the same typed index of films."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

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
        lines = (f"{film.name}\t{film.label}\t{film.patient}\t{film.split}\t{film.aspect}" for film in self.films)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def load(source: Sources) -> Index:
    """
    Read a data set: a `.csv` index, or a folder with `Benign/` and `Malignant/`; several are pooled into one index.

    A woman who stands in several of them must have the same patient id in all, so that no split tears her apart.

    Raises:
        DataError: it is neither, or what it says cannot be right.
    """
    return checked(_pooled([_read(path) for path in paths_of(source)]))


def paths_of(source: Sources) -> tuple[Path, ...]:
    """The data sets by themselves."""
    return (source,) if isinstance(source, Path) else tuple(source)


def _pooled(indexes: list[Index]) -> Index:
    """All films in one index; where two data sets have a name in common, each film is called after its own data set too."""
    names = Counter(film.name for index in indexes for film in index.films)
    films = (
        replace(film, name=f"{Path(index.source).stem}/{film.name}") if len(indexes) > 1 and names[film.name] > 1 else film
        for index in indexes
        for film in index.films
    )
    return Index(" + ".join(index.source for index in indexes), tuple(films))


def _read(source: Path) -> Index:
    from train.datasets import folder, index_csv  # noqa: PLC0415 - they import the types above

    if source.is_dir():
        return folder.read(source)
    if source.is_file():
        return index_csv.read(source)
    msg = f"{source}: no such file or folder; expected an index CSV, or a folder with Benign/ and Malignant/"
    raise DataError(msg)


def checked(index: Index) -> Index:
    """
    Refuse an index that nothing honest can be trained on.

    Raises:
        DataError: a class is empty, a file stands in it twice, or a patient stands on two sides of the given split.
    """
    counts = Counter(film.label for film in index.films)
    for label in LABELS:
        if not counts[label]:
            msg = f"{index.source}: no {label} image among {len(index.films)}, expected both benign and malignant ones"
            raise DataError(msg)
    _refuse_repeated_files(index)
    _refuse_leaks(index)
    return index


def _refuse_repeated_files(index: Index) -> None:
    name, times = Counter(film.name for film in index.films).most_common(1)[0]
    if times > 1:
        msg = f"{index.source}: {name} is listed {times} times, expected each file once"
        raise DataError(msg)


def _refuse_leaks(index: Index) -> None:
    sides: dict[str, Side] = {}
    for film in index.films:
        if film.split is None:
            continue
        first = sides.setdefault(film.patient, film.split)
        if first != film.split:
            msg = (
                f"{index.source}: patient {film.patient} stands on both sides of the split ({first} and {film.split}),"
                " expected one: scores would be those of a patient already seen"
            )
            raise DataError(msg)


def median(values: Iterable[float]) -> float | None:
    """The middle value, or None where there are none."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2] if ordered else None
