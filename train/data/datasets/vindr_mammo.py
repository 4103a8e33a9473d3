"""
VinDr-Mammo: 20,000 digital mammograms of 5,000 exams, four views each, as DICOM.

Licence: PhysioNet Restricted Health Data License 1.5.0 after a data use agreement: no
redistribution (Nguyen H. T. et al., Sci Data 10:277, 2023; data: doi 10.13026/br2v-7517; 340 GB).

Layout:

    breast-level_annotations.csv    study_id, series_id, image_id, laterality, view_position,
    height, width, breast_birads, breast_density, split
    finding_annotations.csv         the same, and finding_categories, finding_birads, xmin, ymin,
    xmax, ymax
    images/<study_id>/<image_id>.dicom

Traps:
- There is no pathology: a label is what radiologists thought. BI-RADS 1, 2 and 3 are `benign` here,
  4 and 5 are `malignant`, 5 % of all; many of those are none. For another mapping write the index
  with `mammo-train index` and edit that.
- Only findings of BI-RADS 3 and above have boxes: a film without a box may well show a benign
  lesion.
- Boxes about skin, nipple and lymph nodes are not read: a lesion is a mass, calcification,
  asymmetry or distortion.
- Exams are numbered, not women: each exam counts as a patient.
- Some files are MONOCHROME1; preparing them turns them round.
- The official test set is the `test` side and nothing else.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from train.data.datasets._digital import LATERALITY, box, by_birads, density, kinds, there
from train.data.datasets._table import Row, rows
from train.data.index import Film, Index, Lesion, Side

BREASTS: Final = "breast-level_annotations.csv"
FINDINGS: Final = "finding_annotations.csv"
EXPECTED: Final = f"VinDr-Mammo ({BREASTS} and {FINDINGS} beside images/)"
KINDS: Final[Mapping[str, str]] = {
    "Mass": "mass",
    "Suspicious Calcification": "calcification",
    "Architectural Distortion": "distortion",
    "Asymmetry": "asymmetry",
    "Focal Asymmetry": "asymmetry",
    "Global Asymmetry": "asymmetry",
}
"""Categories that are lesions, the first of a box's categories wins."""
SPLITS: Final[Mapping[str, Side]] = {"training": "train", "test": "test"}
_BIRADS: Final = re.compile(r"BI-?RADS\s*([1-6])", re.IGNORECASE)


def recognises(source: Path) -> bool:
    """Tell if both tables are there."""
    return all((source / name).is_file() for name in (BREASTS, FINDINGS))


def read(folder: Path) -> Index:
    """
    Read VinDr-Mammo; films whose files are not there are left out.

    Raises:
        DataError: a column is missing, a value cannot be right, or no film is there.
    """
    findings: dict[str, list[Row]] = defaultdict(list)
    corners = ("xmin", "ymin", "xmax", "ymax")
    needed = ("image_id", "finding_categories", "finding_birads", *corners)
    for row in rows(folder / FINDINGS, needed):
        findings[row.needed("image_id")].append(row)
    names = ("study_id", "image_id", "laterality", "view_position", "breast_birads", "split")
    films = [
        _film(folder, row, findings.get(row.needed("image_id"), []))
        for row in rows(folder / BREASTS, names)
    ]
    return Index(str(folder), there(folder, films))


def _film(folder: Path, row: Row, findings: list[Row]) -> Film:
    side, split = row.needed("laterality").upper(), row.needed("split").lower()
    if side not in LATERALITY:
        row.refuse("laterality", side, "L or R")
    if split not in SPLITS:
        row.refuse("split", split, ", ".join(SPLITS))
    study, category = row.needed("study_id"), _category(row, "breast_birads")
    path = folder / "images" / study / f"{row.needed('image_id')}.dicom"
    found = [kind for finding in findings for kind in _kinds(finding)]
    return Film(
        path=path,
        name=path.relative_to(folder).as_posix(),
        label=by_birads(category),
        patient=f"vindr-{study}",
        split=SPLITS[split],
        laterality=LATERALITY[side],
        view=row.needed("view_position").upper(),
        abnormality="normal" if category == 1 and not found else kinds(found),
        density=density(row.text("breast_density")),
        birads=(category,),
        lesions=tuple(lesion for finding in findings for lesion in _lesion(finding)),
        domain="digital",
    )


def _category(row: Row, column: str) -> int:
    text = row.text(column)
    match = _BIRADS.fullmatch(text or "")
    if match is None:
        row.refuse(column, text, "BI-RADS 1 to BI-RADS 5")
    return int(match[1])


def _kinds(finding: Row) -> list[str]:
    """List the kinds of a finding, in the order of KINDS."""
    told = set(re.findall(r"[A-Za-z][A-Za-z ]*", finding.text("finding_categories") or ""))
    return list(dict.fromkeys(kind for category, kind in KINDS.items() if category in told))


def _lesion(finding: Row) -> Iterator[Lesion]:
    corners = [finding.number(name) for name in ("xmin", "ymin", "xmax", "ymax")]
    place = box(corners, finding.number("height"), finding.number("width"))
    if place is not None and (found := _kinds(finding)):
        label = by_birads(_category(finding, "finding_birads"))
        yield Lesion(label=label, abnormality=found[0], box=place)
