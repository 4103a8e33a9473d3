"""The split into train, validation and test: whole patients, deterministic, stratified by label."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from train.data.index import LABELS, SIDES, Film, Index, Side
from train.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Fractions:
    """Shares of the patients that are held out."""

    validation: float
    """The share that chooses the epoch, the calibration and the operating point."""
    test: float
    """The share that is looked at once, at the end."""


def assign(index: Index, fractions: Fractions, seed: int) -> dict[Side, tuple[Film, ...]]:
    """
    Share out the films so that no patient stands on two sides.

    A split that the data set gives is kept; if it names no validation patients, they are taken out
    of its training patients. The others (all, if no split is given) are ordered by SHA-256 of
    `seed:patient`, malignant ones (any malignant image) and benign ones apart, and cut at the
    fractions: same data and same seed, same split, on every machine.

    Raises:
        DataError: a side would have no image of one class.
    """
    given = {film.patient: film.split for film in index.films if film.split is not None}
    others = [film for film in index.films if film.patient not in given]
    sides = {**_complete(index, given, fractions, seed), **_cut(others, fractions, seed)}
    result = {
        side: tuple(film for film in index.films if sides[film.patient] == side) for side in SIDES
    }
    _refuse_empty(index, result)
    return result


def _complete(
    index: Index, given: Mapping[str, Side], fractions: Fractions, seed: int
) -> Mapping[str, Side]:
    if "validation" in given.values():
        return given
    training = [film for film in index.films if given.get(film.patient) == "train"]
    return {**given, **_cut(training, replace(fractions, test=0.0), seed)}


def _cut(films: Iterable[Film], fractions: Fractions, seed: int) -> dict[str, Side]:
    malignant: dict[str, bool] = defaultdict(bool)
    for film in films:
        malignant[film.patient] |= bool(film.malignant)
    sides: dict[str, Side] = {}
    for stratum in (False, True):
        patients = sorted(
            (patient for patient, value in malignant.items() if value is stratum),
            key=lambda patient: _rank(seed, patient),
        )
        tests, validations = (
            _share(fraction, len(patients)) for fraction in (fractions.test, fractions.validation)
        )
        for position, patient in enumerate(patients):
            sides[patient] = (
                "test"
                if position < tests
                else "validation"
                if position < tests + validations
                else "train"
            )
    return sides


def _share(fraction: float, patients: int) -> int:
    return max(1, round(fraction * patients)) if fraction else 0


def _rank(seed: int, patient: str) -> str:
    return hashlib.sha256(f"{seed}:{patient}".encode()).hexdigest()


def _refuse_empty(index: Index, sides: Mapping[Side, tuple[Film, ...]]) -> None:
    for side, films in sides.items():
        for label in LABELS:
            if not any(film.label == label for film in films):
                msg = (
                    f"{index.source}: no {label} image on the {side} side, "
                    f"{len(index.patients)} patients in all;"
                    " expected at least three patients of each class"
                )
                raise DataError(msg)
