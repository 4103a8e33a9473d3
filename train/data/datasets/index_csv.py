"""
An index CSV: one line an image, with a header.

Needed columns: `path` (relative to the CSV), `label` (benign, malignant; `BENIGN_WITHOUT_CALLBACK`
is benign), `patient`. Used if there: `side`, `view`, `density`, `birads`, `subtlety` (of several
lesions: `3|4`), `abnormality`, `scanner`, `domain` (film, digital), `split` (train, validation,
test), and `rows`, `columns`: the size of the original, if the file was squeezed to another shape.
With a column `size_confidence` only sizes above 0.95 are trusted; a film without a trusted size
takes the median aspect of the others. Without columns `rows` and `columns` every file is taken as
it is. Other columns are left alone.

Lesion boxes stand in `<name of the index>-lesions.csv` beside it, if that exists: one line a lesion
with `path` as in the index, `pathology`, `abnormality`, and `xmin`, `ymin`, `xmax`, `ymax` in
pixels of the file as it is stored, origin top left. The radiologist's words about a lesion may
stand there too: `shape`, `margins`, `calc_type`, `calc_distribution`, `birads`; or, for films with
one lesion, in a file `descriptors.csv` beside the index, with `path`, `lesions_of_film`, and
`assessment` for `birads`.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from edge.domain import Box
from train.data.datasets import median
from train.data.datasets._table import Row, rows
from train.data.index import DOMAINS, SIDES, Domain, Film, Index, Lesion, Side
from train.errors import DataError

_NEEDED: Final = ("path", "label", "patient")
EXPECTED: Final = f"an index CSV with the columns {', '.join(_NEEDED)}"
TRUSTED_SIZE: Final = 0.95
_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")
_WORDS: Final = ("shape", "margins", "calc_type", "calc_distribution")
_SIDES: Final[Mapping[str, Side]] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
}


def recognises(source: Path) -> bool:
    """Tell if the source is a file."""
    return source.is_file()


def read(path: Path) -> Index:
    """
    Read an index CSV.

    Raises:
        DataError: a column is missing, a value cannot be right (with its line), or a file is not
            there.
    """
    its = list(rows(path, _NEEDED))
    lesions = _described(
        _lesions(path.with_name(f"{path.stem}-lesions.csv")), path.with_name("descriptors.csv")
    )
    films = [_film(row, lesions) for row in its]
    sized = any("rows" in row.values for row in its)
    usual = median(film.aspect for film in films if film.aspect is not None) if sized else None
    filled = (film if film.aspect is not None else replace(film, aspect=usual) for film in films)
    _refuse_half_a_split(path, films)
    _refuse_strange_lesions(path, films, lesions)
    return Index(str(path), tuple(filled))


def _lesions(path: Path) -> Mapping[str, tuple[Lesion, ...]]:
    """Read the lesions of each film, by its name in the index; empty if there is no such file."""
    found: dict[str, tuple[Lesion, ...]] = defaultdict(tuple)
    if path.is_file():
        for row in rows(path, ("path", "pathology", "abnormality", *_CORNERS)):
            found[row.text("path") or ""] += (_lesion(row),)
    return found


def _described(
    lesions: Mapping[str, tuple[Lesion, ...]], path: Path
) -> Mapping[str, tuple[Lesion, ...]]:
    """Add the words of `descriptors.csv`, if it is there, to lesions that are alone on a film."""
    if not path.is_file():
        return lesions
    told = {
        row.text("path"): _words(row, "assessment")
        for row in rows(path, ("path", "lesions_of_film"))
        if row.text("lesions_of_film") == "1"
    }
    return {
        name: (replace(its[0], descriptors=told[name]),) if len(its) == 1 and name in told else its
        for name, its in lesions.items()
    }


def _words(row: Row, birads: str) -> tuple[str, ...]:
    found = {**{name: row.text(name) for name in _WORDS}, "birads": row.text(birads)}
    return tuple(f"{name} {value}" for name, value in found.items() if value and value != "N/A")


def _lesion(row: Row) -> Lesion:
    corners = [row.number(column) for column in _CORNERS]
    xmin, ymin, xmax, ymax = (-1.0 if corner is None else corner for corner in corners)
    if not (0 <= xmin < xmax and 0 <= ymin < ymax):
        row.refuse(
            ", ".join(_CORNERS),
            f"{xmin:g}, {ymin:g}, {xmax:g}, {ymax:g}",
            "a box in pixels of the file, origin top left",
        )
    return Lesion(
        label=row.label("pathology"),
        abnormality=row.text("abnormality"),
        box=Box(xmin, ymin, xmax, ymax),
        descriptors=_words(row, "birads"),
    )


def _film(row: Row, lesions: Mapping[str, tuple[Lesion, ...]]) -> Film:
    name, patient = row.text("path"), row.text("patient")
    if name is None or patient is None:
        row.refuse("path" if name is None else "patient", None, "a value in every line")
    path = row.table.parent / name
    if not path.is_file():
        row.refuse("path", name, f"a file at {path}")
    return Film(
        path=path,
        name=name,
        label=row.label("label"),
        patient=patient,
        split=_side(row),
        aspect=_aspect(row),
        laterality=row.text("side"),
        view=row.text("view"),
        abnormality=row.text("abnormality"),
        density=next(iter(row.integers("density")), None),
        birads=row.integers("birads"),
        subtlety=row.integers("subtlety"),
        scanner=row.text("scanner"),
        lesions=lesions.get(name, ()),
        domain=_domain(row),
    )


def _side(row: Row) -> Side | None:
    text = row.text("split")
    if text is None:
        return None
    side = _SIDES.get(text.lower())
    if side is None:
        row.refuse("split", text, ", ".join(SIDES))
    return side


def _domain(row: Row) -> Domain | None:
    text = (row.text("domain") or "").lower()
    if text and text not in DOMAINS:
        row.refuse("domain", text, " or ".join(DOMAINS))
    return next((domain for domain in DOMAINS if domain == text), None)


def _aspect(row: Row) -> float | None:
    rows, columns, confidence = (
        row.number("rows"),
        row.number("columns"),
        row.number("size_confidence"),
    )
    if rows is None or columns is None:
        return None
    if rows <= 0 or columns <= 0:
        row.refuse("rows, columns", f"{rows:g}, {columns:g}", "the original size in pixels")
    if "size_confidence" in row.values and (confidence is None or confidence <= TRUSTED_SIZE):
        return None
    return rows / columns


def _refuse_half_a_split(path: Path, films: list[Film]) -> None:
    given = sum(film.split is not None for film in films)
    if 0 < given < len(films):
        msg = (
            f"{path}: split is given for {given} of {len(films)} "
            "images, expected for all or for none"
        )
        raise DataError(msg)


def _refuse_strange_lesions(
    path: Path, films: list[Film], lesions: Mapping[str, tuple[Lesion, ...]]
) -> None:
    strange = sorted(set(lesions) - {film.name for film in films})
    if strange:
        name = strange[0] or "an empty path"
        msg = (
            f"{path.stem}-lesions.csv: {name} is not in {path.name}, expected "
            f"lesions of its images only ({len(strange)} such)"
        )
        raise DataError(msg)
