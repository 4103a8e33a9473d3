"""
Data sets: one file each, all giving the same typed index of films.

A new one is one new file with `EXPECTED`, `recognises` and `read`, as `DataSet` below says.
"""

import importlib
import pkgutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeAlias, cast

from train.data.datasets._checks import checked
from train.data.datasets._one_woman import united
from train.data.index import LABELS, SIDES, Film, Index, Label, Lesion, Side
from train.errors import DataError

__all__ = ["LABELS", "SIDES", "Film", "Index", "Label", "Lesion", "Side"]

Sources: TypeAlias = Path | Sequence[Path]
"""One data set, or several to be pooled."""


class DataSet(Protocol):
    """The interface of each file of this package."""

    EXPECTED: str
    """The layout in a few words, for whoever gave something else."""

    def recognises(self, source: Path) -> bool:
        """Tell if the source is such a data set; only names are looked at."""

    def read(self, source: Path) -> Index:
        """Read the source; raise `DataError` if what it says cannot be right."""


def load(source: Sources) -> Index:
    """
    Read a data set of any layout known here, or pool several into one index.

    A woman who stands in several of them must have the same patient id in all, so that no split
    tears her apart. One known to have two ids in CBIS-DDSM gets one.

    Raises:
        DataError: it is none of them, or what it says cannot be right.
    """
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
