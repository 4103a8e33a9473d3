"""
INbreast: 410 full-field digital mammograms of 115 women, 14 bits, as DICOM.

Licence: research only, on request from the authors, no redistribution (Moreira I. C. et al., Acad
Radiol 19:236, 2012).

Layout: `INbreast.csv` (semicolons) or `INbreast.xls` (or .xlsx) beside `AllDICOMs/` and, for lesion
boxes, `AllXML/`:

    INbreast.csv                                             ...;Laterality;View;...;File
    Name;ACR;Bi-Rads
    AllDICOMs/22678622_61b13c59bcba149e_MG_R_CC_ANON.dcm     file name, patient, modality, side,
    view
    AllXML/22678622.xml                                      OsiriX's outlines, a property list

Traps:
- There is no pathology: a label is what the radiologist thought. BI-RADS 1, 2 and 3 are `benign`
  here and 4 (4a, 4b, 4c), 5 and 6 are `malignant`. 3 means "probably benign", at most 2 % of those
  are cancer; to leave these 23 films out would flatter the scores. 4a is cancer in 2 to 10 %: many
  a `malignant` film is none. For another mapping write the index with `mammo-train index`, edit it,
  use that.
- BI-RADS 1 is a normal film. It is `benign` here, with `normal` as its abnormality: the classes are
  malignant or not.
- `ML` in a file's name is MLO in the table, and is.
- The column `Patient ID` says `removed`. The second part of a file's name is the patient.
- The outlines have no label of their own: they take the film's. Only masses, clusters of
  calcifications, distortions and asymmetries are read; single calcifications, thousands of them and
  mostly harmless, and points are not.
"""

import plistlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.parsers.expat import ExpatError

from edge.domain import Box
from train.data.datasets._digital import LATERALITY, by_birads, density, kinds
from train.data.datasets._table import Form, Row, rows
from train.data.index import Film, Index, Label, Lesion
from train.errors import DataError

EXPECTED: Final = "INbreast (INbreast.csv or .xls beside AllDICOMs/)"
FORM: Final = Form(delimiter=";", errors="replace")
TABLES: Final = ("inbreast.csv", "inbreast.xls", "inbreast.xlsx")
KINDS: Final[Mapping[str, str]] = {
    "mass": "mass",
    "spiculated region": "mass",
    "cluster": "calcification",
    "distortion": "distortion",
    "asymmetry": "asymmetry",
    "assymetry": "asymmetry",
}
"""Names of outlines, in small letters and as they are spelt in INbreast."""
_VIEWS: Final = {"ML": "MLO"}
_DICOM: Final = re.compile(
    r"(?P<number>\d+)_(?P<patient>[0-9a-f]{16})_MG_(?P<side>[LR])_(?P<view>[A-Z]+)_ANON",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"(\d+)(?:\.0)?")
"""The number of a file; Excel's are floating point, and below the table stand totals."""
_BIRADS: Final = re.compile(r"([1-6])\s*[abc]?(\.0)?", re.IGNORECASE)
_OUTLINE: Final = 3
"""The fewest points of an outline."""


def recognises(source: Path) -> bool:
    """Tell if there are a table and AllDICOMs/, or one of them."""
    return source.is_dir() and (_table(source) is not None or _dicoms(source).is_dir())


def read(folder: Path) -> Index:
    """
    Read INbreast.

    Raises:
        DataError: a column or a file is missing, a file stands in no row, or a value cannot be
            right.
    """
    table = _table(folder)
    if table is None:
        msg = (
            f"{folder}: found {_dicoms(folder).name}/ but no INbreast.csv "
            "or INbreast.xls, expected one beside it"
        )
        raise DataError(msg)
    its = {
        match[1]: row
        for row in rows(table, ("file name", "acr", "bi-rads"), form=FORM)
        if (match := _NUMBER.fullmatch(row.text("file name") or ""))
    }
    files = {
        match["number"]: path
        for path in sorted(_dicoms(folder).glob("*.dcm"))
        if (match := _DICOM.fullmatch(path.stem))
    }
    _refuse_difference(folder, table, its.keys() - files.keys(), files.keys() - its.keys())
    return Index(
        str(folder),
        tuple(_film(folder, table, files[number], its[number]) for number in sorted(its)),
    )


def _table(folder: Path) -> Path | None:
    found = {path.name.lower(): path for path in folder.iterdir()}
    return next((found[name] for name in TABLES if name in found), None)


def _dicoms(folder: Path) -> Path:
    return folder / "AllDICOMs"


def _refuse_difference(folder: Path, table: Path, missing: set[str], unknown: set[str]) -> None:
    if missing:
        name = f"AllDICOMs/{min(missing)}_*_MG_*_ANON.dcm"
        msg = (
            f"{folder}: no {name}, which {table.name} names "
            f"({len(missing)} such); unpack the whole set there"
        )
        raise DataError(msg)
    if unknown:
        msg = (
            f"{folder}: AllDICOMs/{min(unknown)}_* stands in no row of "
            f"{table.name} ({len(unknown)} such); expected one each"
        )
        raise DataError(msg)


def _film(folder: Path, table: Path, path: Path, row: Row) -> Film:
    match = _DICOM.fullmatch(path.stem)
    birads = _BIRADS.fullmatch(row.text("bi-rads") or "")
    if match is None or birads is None:
        msg = (
            f"{table}: Bi-Rads of {path.name} is "
            f"{row.text('bi-rads') or 'empty'}, expected 1, 2, 3, 4a, 4b, 4c, 5 "
            "or 6"
        )
        raise DataError(msg)
    category = int(birads[1])
    label = by_birads(category)
    lesions = tuple(_lesions(folder / "AllXML" / f"{match['number']}.xml", label))
    found = {lesion.abnormality for lesion in lesions if lesion.abnormality}
    return Film(
        path=path,
        name=path.relative_to(folder).as_posix(),
        label=label,
        patient=match["patient"].lower(),
        laterality=LATERALITY[match["side"].upper()],
        view=_VIEWS.get(match["view"].upper(), match["view"].upper()),
        abnormality="normal" if category == 1 else kinds(found),
        density=density(row.text("acr")),
        birads=(category,),
        lesions=lesions,
        domain="digital",
    )


def _lesions(path: Path, label: Label) -> Iterator[Lesion]:
    """Read the outlines of one film; a normal film has no file of them."""
    if not path.is_file():
        return
    try:
        images = plistlib.loads(path.read_bytes())["Images"]
        outlines = [outline for image in images for outline in image["ROIs"]]
        for outline in outlines:
            kind = KINDS.get(str(outline["Name"]).strip().lower())
            if kind is not None and len(outline["Point_px"]) >= _OUTLINE:
                yield Lesion(label=label, abnormality=kind, box=_box(outline["Point_px"]))
    except (plistlib.InvalidFileException, ExpatError, KeyError, TypeError, ValueError) as error:
        msg = (
            f"{path}: not the outlines that OsiriX writes ({type(error).__name__}: "
            f"{error}); expected Images, ROIs, Name and Point_px"
        )
        raise DataError(msg) from None


def _box(points: list[Any]) -> Box:
    """Bound the points written as `(x, y)` with a box."""
    x, y = zip(*(map(float, str(point).strip("() ").split(",")) for point in points), strict=True)
    return Box(max(0.0, min(x)), max(0.0, min(y)), max(x), max(y))
