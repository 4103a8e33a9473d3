"""
CBIS-DDSM as The Cancer Imaging Archive ships it: 3,103 scanned film mammograms.

Each shows masses or calcifications, with 16 bits, as DICOM.

Licence: CC BY 3.0 (Lee R. S. et al., Sci Data 4:170177, 2017; data: doi
10.7937/K9/TCIA.2016.7O02S9CY; 164 GB).

Layout: the four case descriptions in the folder, in one below or beside it, and the images as the
NBIA Data Retriever writes them, with UIDs or with descriptions as folder names, in `CBIS-DDSM/`, in
`manifest-*/CBIS-DDSM/` or in the folder itself:

    mass_case_description_train_set.csv, mass_case_description_test_set.csv
    calc_case_description_train_set.csv, calc_case_description_test_set.csv
    CBIS-DDSM/Mass-Training_P_00001_LEFT_CC/<study>/<series>/1-1.dcm          the film
    CBIS-DDSM/Mass-Training_P_00001_LEFT_CC_1/<study>/<series>/1-1.dcm ...    abnormality 1: its ROI
    mask and its cropped image

All four CSV files are needed, whatever images are there: they tell who stands in the official test
set. Of the images, a whole group (say `Calc-Test`) may be left out, and the ROI masks of a whole
group; one film missing among its like is refused.

Traps:
- The paths in the CSV files name files that are not there (`000000.dcm`), and some end in a
  newline. Only their first part, the folder of the film or of the abnormality, is used.
- Mask and cropped image were exchanged in many rows. The mask is told by its size, which is that of
  the film or at least the larger one, and by its pixels, which are black or white.
- Some masks have not quite the size of their film: their boxes are scaled to it.
- The CSV of the masses says `breast_density`, that of the calcifications `breast density`.
- A film with several abnormalities has several rows, in both CSVs if it has masses and
  calcifications, and then stands in the tree twice. Here it is one film, malignant if any of its
  abnormalities is. BENIGN_WITHOUT_CALLBACK is benign.
- Masses and calcifications were split into training and test apart: with both pooled, some patients
  (31) stand in both. They stay in the test set and are dropped from training. The official test set
  is the `test` side and nothing else: `fit` takes its validation patients out of the training set.
- P_01136 and P_01138 are one woman, her four films scanned twice: `_one_woman.py` gives both one
  id.
- No film is normal: every one has an abnormality that someone followed up.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.domain import Box
from train.data.datasets._cbis_rows import GROUPS, Finding, findings, table_name
from train.data.datasets._roi import MaskedLesion, boxes, dicoms
from train.data.index import Film, Index, Lesion, Side
from train.errors import DataError
from train.progress import say, warn

EXPECTED: Final = "CBIS-DDSM (its four case description CSVs and CBIS-DDSM/)"
ABNORMALITIES: Final = {"mass": "mass", "calc": "calcification"}
_DEPTH: Final = 3
"""Levels at which films' folders stand: manifest-*/CBIS-DDSM/Mass-Training_P_00001_LEFT_CC."""
_FOLDER: Final = re.compile(r"(Mass|Calc)-(Training|Test)_P_\d{5}_(LEFT|RIGHT)_(CC|MLO)(_\d+)?")


@dataclass(frozen=True, slots=True)
class _FilmRows:
    """A film and every row about it."""

    path: Path
    side: Side
    rows: tuple[Finding, ...]


def recognises(source: Path) -> bool:
    """Tell if a case description or the folder of a film is there, looking one folder deep."""
    if not source.is_dir():
        return False
    folders = [path for path in source.iterdir() if path.is_dir()]
    if any(_FOLDER.fullmatch(path.name) for path in folders):
        return True
    return any(
        (path / table_name(group)).is_file() for path in (source, *folders) for group in GROUPS
    )


def read(folder: Path) -> Index:
    """
    Read CBIS-DDSM.

    The first time, the lesion boxes are found in the ROI masks, which takes minutes.

    Raises:
        DataError: a CSV file, a column, a film or a mask is missing, or a value cannot be right.
    """
    tables = {group: _table(folder, group) for group in GROUPS}
    rows = [row for group, table in tables.items() for row in findings(table, group)]
    tree = _tree(folder)
    _refuse_gaps(folder, rows, tree)
    shown = list(_shown(folder, rows, tree))
    if not shown:
        example = min((row.film.parts[0] for row in rows), default="Mass-Training_P_00001_LEFT_CC")
        msg = (
            f"{folder}: none of the films is there, expected folders like CBIS-DDSM/{example} in it"
        )
        raise DataError(msg)
    masked = {
        row.roi: MaskedLesion(tree[row.roi], each.path)
        for each in shown
        for row in each.rows
        if row.roi in tree
    }
    found = boxes(folder, masked)
    tested = any(each.side == "test" for each in shown)
    return Index(
        str(folder),
        tuple(_film(folder, each, found, each.side if tested else None) for each in shown),
    )


def _table(folder: Path, group: str) -> Path:
    name = table_name(group)
    below = sorted(
        path for path in folder.iterdir() if path.is_dir() and not _FOLDER.fullmatch(path.name)
    )
    for place in (folder, *below, folder.parent):
        if (place / name).is_file():
            return place / name
    msg = (
        f"{folder}: no {name} in it, below it or beside it; expected all four case "
        "descriptions, they tell the official test patients"
    )
    raise DataError(msg)


def _tree(folder: Path) -> Mapping[str, Path]:
    """Find the folders of films and abnormalities, by their names."""
    found: dict[str, Path] = {}
    level = [folder]
    for _ in range(_DEPTH):
        below = [path for each in level for path in each.iterdir() if path.is_dir()]
        found |= {path.name: path for path in below if _FOLDER.fullmatch(path.name)}
        level = [path for path in below if path.name not in found]
    return found


def _refuse_gaps(folder: Path, rows: list[Finding], tree: Mapping[str, Path]) -> None:
    """
    Refuse a group of which some films or masks are missing.

    A whole group may be left out of a download; a gap within one means that it is not finished.
    """
    for group in GROUPS:
        its = [row for row in rows if row.group == group]
        for what, wanted in (
            ("films", {row.film.parts[0] for row in its}),
            ("ROI masks", {row.roi for row in its}),
        ):
            missing = {name for name in wanted if name not in tree or not dicoms(tree[name])}
            if missing and missing == wanted:
                warn(
                    f"{folder}: none of the {len(wanted)} {what} of "
                    f"{table_name(group)} is there; going on without them"
                )
            elif missing:
                msg = (
                    f"{folder}: {len(missing)} of {len(wanted)} {what} of "
                    f"{table_name(group)} are missing, {min(missing)} is one;"
                    " expected all of them, or none: let the download finish"
                )
                raise DataError(msg)


def _shown(folder: Path, rows: list[Finding], tree: Mapping[str, Path]) -> Iterator[_FilmRows]:
    """
    Yield the films that are there, each once, without training films of patients in the test set.
    """
    tests = {row.patient for row in rows if row.official == "test"}
    both = {row.patient for row in rows if row.official == "train"} & tests
    if both:
        say(
            f"{folder}: {len(both)} patients stand in the official training "
            "and test sets: they are dropped from training"
        )
    films: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for row in rows:
        films[row.patient, row.laterality, row.view].append(row)
    for (patient, _, _), its in sorted(films.items()):
        side: Side = "test" if patient in tests else "train"
        source = next(
            (row for row in its if row.official == side and row.film.parts[0] in tree), None
        )
        if source is not None:
            yield _FilmRows(
                _file(tree[source.film.parts[0]], source.film.parent.name), side, tuple(its)
            )


def _file(folder: Path, series: str) -> Path:
    """Choose the film's file: that of the series which the CSV names, or the largest."""
    return max(dicoms(folder), key=lambda path: (series in path.parts, path.stat().st_size))


def _film(folder: Path, shown: _FilmRows, found: Mapping[str, Box], split: Side | None) -> Film:
    first = shown.rows[0]
    return Film(
        path=shown.path,
        name=shown.path.relative_to(folder).as_posix(),
        label="malignant" if any(row.label == "malignant" for row in shown.rows) else "benign",
        patient=first.patient,
        split=split,
        laterality=first.laterality,
        view=first.view,
        abnormality="|".join(sorted({row.kind for row in shown.rows})),
        density=next((row.density for row in shown.rows if row.density is not None), None),
        birads=tuple(row.birads for row in shown.rows if row.birads is not None),
        subtlety=tuple(row.subtlety for row in shown.rows if row.subtlety is not None),
        lesions=tuple(
            Lesion(
                label=row.label,
                abnormality=ABNORMALITIES[row.kind],
                box=found[row.roi],
                descriptors=row.descriptors,
            )
            for row in shown.rows
            if row.roi in found
        ),
        domain="film",
    )
