"""
A folder with `Benign/` and `Malignant/` (any case), images in them or in folders below.

A patient is taken from the file's name if it follows one of these rules (see `PATIENT_RULES`):

- CBIS-DDSM: `P_00001` anywhere in the name: that is the patient.
- INbreast: `20586908_6c613a14b80a8591_MG_R_CC_ANON`: the second field, 16 hex digits.
- Mini-MIAS: `mdb001`: odd and even numbers are the two breasts of one woman, 001 and 002 are woman
  1.

Any other file counts as a patient of its own, with a loud warning: if two of them are the same
woman, one may be trained on and the other tested, and the scores are too good.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from train.data.index import LABELS, Film, Index, Label
from train.errors import DataError
from train.progress import warn

SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp", ".dcm", ".dicom"}
)

PATIENT_RULES: Final[tuple[tuple[re.Pattern[str], Callable[[str], str]], ...]] = (
    (re.compile(r"(P_\d{5})(?!\d)"), str),
    (re.compile(r"^\d+_([0-9a-f]{16})_MG_"), str),
    (
        re.compile(r"^mdb(\d{3})(?!\d)", re.IGNORECASE),
        lambda number: f"mias-{(int(number) + 1) // 2}",
    ),
)
"""A pattern for the file's name, and the patient that its group makes."""


EXPECTED: Final = "a folder with Benign/ and Malignant/"


def recognises(source: Path) -> bool:
    """Tell if one of the two folders is there."""
    return source.is_dir() and any(
        path.is_dir() and path.name.lower() in LABELS for path in source.iterdir()
    )


def read(folder: Path) -> Index:
    """
    Read a folder per class.

    Raises:
        DataError: one of the two folders is not there.
    """
    films = tuple(film for label in LABELS for film in _class(folder, label))
    unknown = sum(film.patient.startswith("file:") for film in films)
    if unknown:
        warn(
            f"{unknown} of {len(films)} images in {folder} have no patient in "
            "their name: each counts as its own patient."
            " If women stand there with several images, the scores will be too "
            "good; use an index CSV with a patient column."
        )
    return Index(str(folder), films)


def patient_of(name: str) -> str | None:
    """Read the patient from a file's name; None if the name follows no known rule."""
    for pattern, patient in PATIENT_RULES:
        if match := pattern.search(name):
            return patient(match[1])
    return None


def _class(folder: Path, label: Label) -> Iterator[Film]:
    root = next(
        (path for path in sorted(folder.iterdir()) if path.is_dir() and path.name.lower() == label),
        None,
    )
    if root is None:
        found = ", ".join(sorted(path.name for path in folder.iterdir())[:5]) or "nothing"
        msg = (
            f"{folder}: no folder {label.capitalize()}/; found {found}; expected "
            "Benign/ and Malignant/, or give an index CSV"
        )
        raise DataError(msg)
    for path in sorted(root.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            name = path.relative_to(folder).as_posix()
            yield Film(
                path=path, name=name, label=label, patient=patient_of(path.name) or f"file:{name}"
            )
