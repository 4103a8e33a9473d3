"""
RSNA Screening Mammography Breast Cancer Detection: 54,706 digital mammograms as DICOM.

They are of 11,913 women and two sites, published in 2022.

Licence: non-commercial use only, and no attempt to identify anybody (Carr C. et al., RSNA 2022; 314
GB).

Layout, as its archive unpacks:

    train.csv      site_id, patient_id, image_id, laterality, view, age, cancer, biopsy, invasive,
    BIRADS, implant, density, machine_id, difficult_negative_case
    train_images/<patient_id>/<image_id>.dcm

Traps:
- `cancer` is said of the breast, from pathology: one view of it may show nothing. 2 % of the films
  are of a breast with cancer.
- The test set has no labels: only the training set is read, and split here.
- BIRADS is 0 (called back), 1 (negative) or 2 (benign) and missing for half of the films. It says
  what screening thought: cancers stand among 1 and 2.
- Breasts with implants are left out; one of the two sites tells implants of the woman, not of the
  breast.
- Views other than CC and MLO are left out.
- There are no boxes. `default` learns from these films by their label alone.
- Most files are JPEG 2000 or JPEG lossless, many MONOCHROME1.
- Prepared for 800 x 512, all films need 45 GB of disk.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from train.data.datasets._digital import LATERALITY, density, say_left_out, there
from train.data.datasets._table import Row, rows
from train.data.index import Film, Index, Label

TABLE: Final = "train.csv"
IMAGES: Final = "train_images"
EXPECTED: Final = f"RSNA Screening Mammography ({TABLE} beside {IMAGES}/)"
VIEWS: Final = ("CC", "MLO")
LABELS: Final[Mapping[str, Label]] = {"0": "benign", "1": "malignant"}
_NEEDED: Final = ("patient_id", "image_id", "laterality", "view", "cancer", "implant")


def recognises(source: Path) -> bool:
    """Tell if table and images are there."""
    return (source / TABLE).is_file() and (source / IMAGES).is_dir()


def read(folder: Path) -> Index:
    """
    Read the training set; films whose files are not there are left out.

    Raises:
        DataError: a column is missing, a value cannot be right, or no film is there.
    """
    its = list(rows(folder / TABLE, _NEEDED))
    wanted = [
        row for row in its if row.needed("view").upper() in VIEWS and row.number("implant") != 1
    ]
    say_left_out(folder, "are of other views or of breasts with implants", len(its) - len(wanted))
    return Index(str(folder), there(folder, [_film(folder, row) for row in wanted]))


def _film(folder: Path, row: Row) -> Film:
    side, cancer = row.needed("laterality").upper(), row.needed("cancer")
    if side not in LATERALITY:
        row.refuse("laterality", side, "L or R")
    if cancer not in LABELS:
        row.refuse("cancer", cancer, "0 or 1")
    patient, grades = row.needed("patient_id"), row.integers("BIRADS")
    path = folder / IMAGES / patient / f"{row.needed('image_id')}.dcm"
    return Film(
        path=path,
        name=path.relative_to(folder).as_posix(),
        label=LABELS[cancer],
        patient=f"rsna-{patient}",
        laterality=LATERALITY[side],
        view=row.needed("view").upper(),
        abnormality="normal" if grades == (1,) and cancer == "0" else None,
        density=density(row.text("density")),
        birads=grades,
        scanner=row.text("machine_id"),
        domain="digital",
    )
