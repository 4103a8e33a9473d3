"""
EMBED, the Emory Breast Imaging Dataset, open release: 480,000 images of 23,000 women, as DICOM.

Licence: Research Use Agreement of Emory University: personal, non-commercial research, no
redistribution (Jeong J. J. et al., Radiol Artif Intell 5:e220047, 2023; 16 TB).

Layout:

    tables/EMBED_OpenData_clinical.csv     a row a finding: empi_anon, acc_anon, side, asses,
    path_severity, bside, tissueden, massmargin, calcfind, ...
    tables/EMBED_OpenData_metadata.csv     a row an image: empi_anon, acc_anon, anon_dicom_path,
    ImageLateralityFinal, ViewPosition, FinalImageType, spot_mag, ROI_coords, ...
    images/cohort_1/<patient>/<exam>/<series>/<image>.dcm

Traps:
- `anon_dicom_path` begins with /mnt/NAS2/mammo/anon_dicom/, which stands for images/ here.
- A finding belongs to an exam and a side, not to an image; `side` B or empty means both. Pathology
  has a side of its own, `bside`.
- path_severity 0 (invasive) and 1 (in situ) are `malignant`; 2 to 5, high-risk lesions among them,
  are `benign`; 6 is cancer of another organ and is left out.
- Without pathology, assessments N, B and P (BI-RADS 1, 2, 3) are `benign`. A (called back), S, M
  and K without pathology say nothing: their films are left out.
- The screening film of a cancer is often an A without pathology, the biopsy hangs on a later exam.
  No film of a breast in which cancer was found at any time is `benign`.
- `massshape` holds distortions and asymmetries, too: a mass is told by its margin or density.
- Tomosynthesis, synthetic views (C-View), spot and magnification views and implants are left out.
- Boxes are [ymin, xmin, ymax, xmax], drawn from circles that radiologists burned into copies; they
  take the film's label.
- Nearly all exams are normal: with less than 1 % malignant and .8 MB of disk for each film prepared
  for 800 x 512, write the index with `mammo-train index` and train on a share of the benign.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from edge.domain import Box
from train.data.datasets._digital import LATERALITY, box, density, kinds, say_left_out, there
from train.data.datasets._table import Row, rows
from train.data.index import Film, Index, Label, Lesion

CLINICAL: Final = "tables/EMBED_OpenData_clinical.csv"
METADATA: Final = "tables/EMBED_OpenData_metadata.csv"
EXPECTED: Final = f"EMBED ({CLINICAL} and {METADATA} beside images/)"
BIRADS: Final[Mapping[str, int]] = {"A": 0, "N": 1, "B": 2, "P": 3, "S": 4, "M": 5, "K": 6}
CLEARED: Final = ("N", "B", "P")
"""Assessments that are benign without pathology."""
CANCER: Final = (0, 1)
"""Severities that are malignant."""
ELSEWHERE: Final = 6
"""The severity of a cancer that is none of the breast."""
VIEWS: Final = ("CC", "MLO")
_SHOWN: Final = ("empi_anon", "acc_anon", "anon_dicom_path", "ImageLateralityFinal")
_CHOSEN: Final = ("ViewPosition", "FinalImageType")
_MORE: Final = (
    *("spot_mag", "ROI_coords", "BreastImplantPresent", "ManufacturerModelName"),
    *("Rows", "Columns"),
)
_SAID: Final = ("empi_anon", "acc_anon", "side", "asses", "path_severity")
_ALSO: Final = (
    "bside",
    "tissueden",
    "massmargin",
    "massdens",
    "calcfind",
    "calcdistri",
    "implanfind",
)
_PLACE: Final = re.compile(r"(?:^|/)(cohort_\d+/.+)$")
_BOX: Final = re.compile(r"[(\[]\s*([-\d.]+)\s*,\s*([-\d.]+)\s*,\s*([-\d.]+)\s*,\s*([-\d.]+)")


@dataclass(slots=True)
class _Breast:
    """All that one exam says of one breast."""

    assessments: set[str] = field(default_factory=set)
    severities: set[int] = field(default_factory=set)
    kinds: set[str] = field(default_factory=set)
    density: int | None = None
    implant: bool = False

    def label(self, *, cancer: bool) -> Label | None:
        """
        Decide the class; None if it is not known.

        Args:
            cancer: true if cancer was found in this breast at any time.
        """
        if self.severities & set(CANCER):
            return "malignant"
        if cancer or ELSEWHERE in self.severities:
            return None
        read = bool(self.assessments) and self.assessments <= set(CLEARED)
        return "benign" if self.severities or read else None


def recognises(source: Path) -> bool:
    """Tell if both tables are there."""
    return all((source / name).is_file() for name in (CLINICAL, METADATA))


def read(folder: Path) -> Index:
    """
    Read the two-dimensional standard views of EMBED; files that are not there are left out.

    Raises:
        DataError: a column is missing, a value cannot be right, or no film is there.
    """
    breasts, cancers = _breasts(folder / CLINICAL)
    needed = (*_SHOWN, *_CHOSEN)
    standard = [
        row for row in rows(folder / METADATA, needed, keep=(*needed, *_MORE)) if _standard(row)
    ]
    films = [film for row in standard if (film := _film(folder, row, breasts, cancers))]
    unknown = len(standard) - len(films)
    say_left_out(folder, "are of breasts with an implant or without a certain diagnosis", unknown)
    return Index(str(folder), there(folder, films))


def _breasts(
    table: Path,
) -> tuple[Mapping[tuple[str, str], _Breast], set[tuple[str, str]]]:
    """Read what is said of each breast, by exam and side, and the breasts with cancer."""
    found: dict[tuple[str, str], _Breast] = defaultdict(_Breast)
    cancers: set[tuple[str, str]] = set()
    for row in rows(table, _SAID, keep=(*_SAID, *_ALSO)):
        exam, severity = row.needed("acc_anon"), row.number("path_severity")
        for side in _sides(row.text("side")):
            breast = found[exam, side]
            breast.assessments |= {(row.text("asses") or "A").upper()}
            breast.kinds |= set(_kinds(row))
            breast.density = breast.density or density(row.text("tissueden"))
            breast.implant |= _says(row, "implanfind")
        for side in _sides(row.text("bside") or row.text("side")) if severity is not None else "":
            found[exam, side].severities.add(int(severity or 0))
            if severity in CANCER:
                cancers.add((row.needed("empi_anon"), side))
    return found, cancers


def _sides(text: str | None) -> str:
    side = (text or "B").upper()
    return side if side in LATERALITY else "LR"


def _says(row: Row, column: str) -> bool:
    """Tell if a mark is set, by a number or a letter."""
    return row.text(column) not in (None, "0", "0.0")


def _kinds(row: Row) -> Iterator[str]:
    if row.text("massmargin") or row.text("massdens"):
        yield "mass"
    if row.text("calcfind") or row.text("calcdistri"):
        yield "calcification"


def _standard(row: Row) -> bool:
    """Tell if an image is a plain view of a whole breast."""
    return (
        row.text("FinalImageType") == "2D"
        and (row.text("ViewPosition") or "").upper() in VIEWS
        and (row.text("ImageLateralityFinal") or "").upper() in LATERALITY
        and not _says(row, "spot_mag")
        and (row.text("BreastImplantPresent") or "").upper() != "YES"
    )


def _film(
    folder: Path,
    row: Row,
    breasts: Mapping[tuple[str, str], _Breast],
    cancers: set[tuple[str, str]],
) -> Film | None:
    side, patient = row.needed("ImageLateralityFinal").upper(), row.needed("empi_anon")
    breast = breasts.get((row.needed("acc_anon"), side), _Breast())
    label = breast.label(cancer=(patient, side) in cancers)
    if label is None or breast.implant:
        return None
    match = _PLACE.search(row.needed("anon_dicom_path"))
    if match is None:
        row.refuse("anon_dicom_path", row.text("anon_dicom_path"), ".../cohort_1/.../image.dcm")
    path = folder / "images" / match[1]
    normal = breast.assessments == {"N"} and not breast.severities
    kind = next(iter(breast.kinds)) if len(breast.kinds) == 1 else None
    return Film(
        path=path,
        name=path.relative_to(folder).as_posix(),
        label=label,
        patient=f"embed-{patient.removesuffix('.0')}",
        laterality=LATERALITY[side],
        view=row.needed("ViewPosition").upper(),
        abnormality="normal" if normal else kinds(breast.kinds),
        density=breast.density,
        birads=tuple(sorted(BIRADS[each] for each in breast.assessments if each in BIRADS)),
        scanner=row.text("ManufacturerModelName"),
        lesions=tuple(Lesion(label=label, abnormality=kind, box=place) for place in _boxes(row)),
        domain="digital",
    )


def _boxes(row: Row) -> Iterator[Box]:
    for match in _BOX.finditer(row.text("ROI_coords") or ""):
        ymin, xmin, ymax, xmax = map(float, match.groups())
        place = box((xmin, ymin, xmax, ymax), row.number("Rows"), row.number("Columns"))
        if place is not None:
            yield place
