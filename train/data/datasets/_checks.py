"""The checks that every index must pass before anything is trained on it."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

from train.data.index import LABELS, Film, Index, Side
from train.data.sampling import sample
from train.errors import DataError
from train.progress import warn


def checked(index: Index) -> Index:
    """
    Refuse an index that nothing honest can be trained on.

    Raises:
        DataError: a class is empty, a file stands in it twice or under two patients, or a patient
            stands on two sides of the given split.
    """
    counts = Counter(film.label for film in index.films)
    for label in LABELS:
        if not counts[label]:
            msg = (
                f"{index.source}: no {label} image among {len(index.films)}, "
                "expected both benign and malignant ones"
            )
            raise DataError(msg)
    _refuse_repeated_names(index)
    _refuse_leaks(index)
    for copies in _copies(index.films):
        _refuse_copies(index, copies)
    return index


def _refuse_repeated_names(index: Index) -> None:
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
                f"{index.source}: patient {film.patient} stands on both sides "
                f"of the split ({first} and {film.split}),"
                " expected one: scores would be those of a patient already seen"
            )
            raise DataError(msg)


def _refuse_copies(index: Index, copies: Sequence[Film]) -> None:
    """
    Refuse two files of the same bytes: they are one film.

    Under two patients the film could be trained on and tested; with two labels one is wrong.
    """
    first = copies[0]
    for film in copies[1:]:
        if film.patient != first.patient:
            found = (
                f"but belong to patients {first.patient} and {film.patient}; a film "
                "on both sides of the split makes scores too good"
            )
        elif film.label != first.label:
            found = f"but are {first.label} and {film.label}"
        else:
            warn(
                f"{index.source}: {first.name} and {film.name} are the "
                "same bytes, of the same patient"
            )
            continue
        msg = (
            f"{index.source}: {first.name} and {film.name} are the same bytes "
            f"{found}; take one of them out of the index"
        )
        raise DataError(msg)


def _copies(films: Iterable[Film]) -> list[list[Film]]:
    """
    Group the films whose files have the same bytes.

    Files of one size are compared by three short samples, and only those that still agree are read
    whole: hashing every film of CBIS-DDSM would read 80 GB at the start of each command.
    """
    groups = [list(films)]
    for key in (_size, sample, _digest):
        groups = [alike for group in groups for alike in _alike(group, key)]
    return groups


def _alike(films: Sequence[Film], key: Callable[[Path], Hashable]) -> list[list[Film]]:
    found: dict[Hashable, list[Film]] = defaultdict(list)
    for film in films:
        found[key(film.path)].append(film)
    return [group for group in found.values() if len(group) > 1]


def _size(path: Path) -> int:
    return path.stat().st_size


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
