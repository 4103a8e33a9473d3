"""
`mammo-train index`: what was read of a data set as an index CSV to look at, edit and train on.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from train.data.index import Film, Index, Lesion
from train.errors import DataError
from train.progress import say

COLUMNS: Final = (
    "path",
    "label",
    "patient",
    "split",
    "side",
    "view",
    "abnormality",
    "density",
    "birads",
    "subtlety",
    "scanner",
    "domain",
)
_WORDS: Final = ("shape", "margins", "calc_type", "calc_distribution", "birads")
LESION_COLUMNS: Final = (
    "path",
    "pathology",
    "abnormality",
    "xmin",
    "ymin",
    "xmax",
    "ymax",
    *_WORDS,
)
ASPECT: Final = ("rows", "columns")
_UNIT: Final = 10_000
"""Columns written for a film of which only the aspect is known."""


def write(index: Index, out: Path) -> None:
    """
    Write `out` and, if lesions are known, `<its name>-lesions.csv` beside it.

    `train.data.datasets.index_csv` reads both.

    Raises:
        DataError: `out` is no name of a CSV file, or is there already.
    """
    lesions = out.with_name(f"{out.stem}-lesions.csv")
    for path in (out, lesions):
        if path.exists() or path.suffix != ".csv":
            msg = (
                f"{path}: "
                f"{'it is there already' if path.exists() else 'found another suffix'}, "
                "expected the name of a new file.csv"
            )
            raise DataError(msg)
    stretched = any(film.aspect is not None for film in index.films)
    out.parent.mkdir(parents=True, exist_ok=True)
    places = {film.name: _place(film.path, out.parent) for film in index.films}
    _table(
        out,
        (*COLUMNS, *(ASPECT if stretched else ())),
        (_row(film, places[film.name], stretched) for film in index.films),
    )
    found = [
        (
            places[film.name],
            lesion.label.upper(),
            lesion.abnormality or "",
            *map(str, (box.xmin, box.ymin, box.xmax, box.ymax)),
            *_words(lesion),
        )
        for film in index.films
        for lesion in film.lesions
        for box in (lesion.box,)
    ]
    if found:
        _table(lesions, LESION_COLUMNS, found)
    say(
        f"{out}: {len(index.films)} images of {len(index.patients)} "
        f"patients, {len(found)} lesion boxes"
    )


def _words(lesion: Lesion) -> Sequence[str]:
    told = dict(word.split(" ", 1) for word in lesion.descriptors)
    return [told.get(name, "") for name in _WORDS]


def _place(path: Path, folder: Path) -> str:
    """Name a file relative to the index if it lies below it, so that both can be moved together."""
    whole, root = path.resolve(), folder.resolve()
    return (whole.relative_to(root) if whole.is_relative_to(root) else whole).as_posix()


def _row(film: Film, place: str, stretched: bool) -> Sequence[str]:  # noqa: FBT001
    bars = ["|".join(map(str, values)) for values in (film.birads, film.subtlety)]
    density = "" if film.density is None else str(film.density)
    texts = (film.split, film.laterality, film.view, film.abnormality)
    size = (
        []
        if not stretched
        else ["", ""]
        if film.aspect is None
        else [str(round(film.aspect * _UNIT)), str(_UNIT)]
    )
    return [
        place,
        film.label,
        film.patient,
        *(text or "" for text in texts),
        density,
        *bars,
        film.scanner or "",
        film.domain or "",
        *size,
    ]


def _table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
