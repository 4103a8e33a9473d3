"""
CMMD, the Chinese Mammography Database: 5,202 digital mammograms of 1,775 women, 8 bits, as DICOM.

Licence: CC BY 4.0 (Cai H. et al., Comput Math Methods Med 2019:8705169; Cui C. et al., data: doi
10.7937/tcia.eqde-4b16; 23 GB, from The Cancer Imaging Archive).

Layout: the table beside the images as the NBIA Data Retriever writes them, with UIDs or with
descriptions as folder names:

    CMMD_clinicaldata_revision.xlsx (or .csv)        ID1, LeftRight, Age, number, abnormality,
    classification, subtype
    manifest-1616439774456/CMMD/D1-0001/<study>/<series>/1-1.dcm

Traps:
- Neither folder nor file name tells side and view: they stand in the header, the view as a code in
  ViewCodeSequence.
- A row is a breast. Films of the other breast, if there are any, have no label and are left out.
- Labels are from biopsies of women who had symptoms or findings: no film is called normal, and 70 %
  of the women have cancer. Predictive values mean nothing here.
- There are no boxes. `default` learns from these films by their label alone.
- Two machines of one region, already windowed to 8 bits.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pydicom

from train.data.datasets._digital import LATERALITY, kinds, near, say_left_out
from train.data.datasets._table import Row, rows
from train.data.index import Film, Index
from train.errors import DataError

TABLES: Final = ("CMMD_clinicaldata_revision.xlsx", "CMMD_clinicaldata_revision.csv")
EXPECTED: Final = f"CMMD ({TABLES[0]} beside its DICOM files)"
VIEWS: Final[Mapping[str, str]] = {
    "R-10242": "CC",
    "399162004": "CC",
    "R-10226": "MLO",
    "399368009": "MLO",
}
"""Views by their SNOMED codes, of both editions."""
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "mass": ("mass",),
    "calcification": ("calcification",),
    "both": ("mass", "calcification"),
}
_PATIENT: Final = re.compile(r"D[12]-\d{4}")
_TAGS: Final = ("PatientID", "ImageLaterality", "Laterality", "ViewPosition", "ViewCodeSequence")


def recognises(source: Path) -> bool:
    """Tell if the table is there or one folder below, or folders like D1-0001 are."""
    return source.is_dir() and (
        near(source, *TABLES) is not None
        or any(_PATIENT.fullmatch(path.name) for path in source.iterdir())
    )


def read(folder: Path) -> Index:
    """
    Read CMMD; every film's header is looked at.

    Raises:
        DataError: table or films are missing, or a value cannot be right.
    """
    table = near(folder, *TABLES) or near(folder.parent, *TABLES)
    if table is None:
        msg = f"{folder}: no {' or '.join(TABLES)}, expected it in the folder or beside it"
        raise DataError(msg)
    breasts = _breasts(table)
    files = sorted(folder.rglob("*.dcm"))
    films = [film for path in files if (film := _film(folder, path, breasts))]
    if not films:
        msg = (
            f"{folder}: {len(files)} DICOM files, none of a breast that {table.name} names; "
            "expected CMMD/D1-0001/<study>/<series>/1-1.dcm and its like"
        )
        raise DataError(msg)
    say_left_out(folder, f"show a breast that has no row in {table.name}", len(files) - len(films))
    return Index(str(folder), tuple(films))


def _breasts(table: Path) -> Mapping[tuple[str, str], list[Row]]:
    """Collect the rows of each breast by patient and side, L or R."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows(table, ("ID1", "LeftRight", "abnormality", "classification")):
        side, kind = row.needed("LeftRight").upper(), row.text("abnormality")
        if side not in LATERALITY:
            row.refuse("LeftRight", side, "L or R")
        if (kind or "").lower() not in KINDS:
            row.refuse("abnormality", kind, ", ".join(KINDS))
        found[row.needed("ID1"), side].append(row)
    return found


def _film(folder: Path, path: Path, breasts: Mapping[tuple[str, str], list[Row]]) -> Film | None:
    header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS), force=True)
    patient = str(header.get("PatientID") or "")
    side = str(header.get("ImageLaterality") or header.get("Laterality") or "").upper()
    its = breasts.get((patient, side), [])
    if not its:
        return None
    malignant = any(row.label("classification") == "malignant" for row in its)
    return Film(
        path=path,
        name=path.relative_to(folder).as_posix(),
        label="malignant" if malignant else "benign",
        patient=patient,
        laterality=LATERALITY[side],
        view=_view(header),
        abnormality=kinds(kind for row in its for kind in KINDS[row.needed("abnormality").lower()]),
        domain="digital",
    )


def _view(header: pydicom.Dataset) -> str | None:
    codes = [str(item.get("CodeValue") or "") for item in header.get("ViewCodeSequence") or ()]
    known = next((VIEWS[code] for code in codes if code in VIEWS), None)
    return known or str(header.get("ViewPosition") or "").upper() or None
