"""CMMD in its own layout, with films of one shade of grey."""

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from tests.support import sheets
from tests.support.films import dicom
from train.data import datasets
from train.errors import DataError

HEAD = ("ID1", "LeftRight", "Age", "number", "abnormality", "classification", "subtype")
ROWS = (
    ("D1-0001", "R", "44", "2", "calcification", "Benign", ""),
    ("D2-0007", "L", "61", "2", "both", "Malignant", "Luminal A"),
    ("D2-0007", "R", "61", "2", "mass", "Benign", ""),
)


def code(value: str) -> list[Dataset]:
    item = Dataset()
    item.CodeValue = value
    return [item]


def film(root: Path, name: str, side: str, view: str, shade: int) -> None:
    patient, _, number = name.partition("/")
    folder = root / "CMMD" / patient / "07-18-2010-NA-NA-79377" / "1.000000-NA-70244"
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.full((40, 30), shade, np.uint16)
    tags = {"PatientID": patient, "ImageLaterality": side, "ViewCodeSequence": code(view)}
    (folder / f"1-{number}.dcm").write_bytes(dicom(pixels, **tags))


@pytest.fixture
def cmmd(tmp_path: Path) -> Path:
    root = tmp_path / "manifest-1616439774456"
    film(root, "D1-0001/1", "R", "R-10226", 1)
    film(root, "D1-0001/2", "R", "399162004", 2)
    film(root, "D2-0007/1", "L", "R-10242", 3)
    film(root, "D2-0007/2", "R", "R-10242", 4)
    sheets.write(root / "CMMD_clinicaldata_revision.xlsx", {"Sheet1": [HEAD, *ROWS]})
    return root


def test_side_and_view_come_from_the_header_and_the_label_from_the_breasts_row(cmmd: Path) -> None:
    films = datasets.load(cmmd).films
    assert [(each.patient, each.laterality, each.view, each.label) for each in films] == [
        ("D1-0001", "RIGHT", "MLO", "benign"),
        ("D1-0001", "RIGHT", "CC", "benign"),
        ("D2-0007", "LEFT", "CC", "malignant"),
        ("D2-0007", "RIGHT", "CC", "benign"),
    ]
    assert [each.abnormality for each in films] == ["calc", "calc", "calc|mass", "mass"]
    assert {each.domain for each in films} == {"digital"}


def test_film_of_a_breast_without_a_row_is_left_out_and_said(
    cmmd: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film(cmmd, "D1-0001/3", "L", "R-10242", 5)
    assert len(datasets.load(cmmd).films) == 4
    assert "1 films show a breast that has no row in CMMD_clinicaldata" in capsys.readouterr().err


def test_table_may_lie_beside_the_folder_and_be_a_csv(cmmd: Path) -> None:
    expected = datasets.load(cmmd).films
    (cmmd / "CMMD_clinicaldata_revision.xlsx").unlink()
    table = "\n".join(",".join(row) for row in (HEAD, *ROWS))
    (cmmd / "CMMD_clinicaldata_revision.csv").write_text(table)
    found = datasets.load(cmmd / "CMMD").films
    assert [each.path for each in found] == [each.path for each in expected]
    assert [each.label for each in found] == [each.label for each in expected]


def test_folder_of_images_without_the_table_is_refused(cmmd: Path) -> None:
    (cmmd / "CMMD_clinicaldata_revision.xlsx").unlink()
    with pytest.raises(DataError, match=r"CMMD: no CMMD_clinicaldata_revision\.xlsx or CMMD_clin"):
        datasets.load(cmmd / "CMMD")


def test_images_of_nobody_in_the_table_are_refused(cmmd: Path) -> None:
    rows = [("D1-0999", *row[1:]) for row in ROWS]
    sheets.write(cmmd / "CMMD_clinicaldata_revision.xlsx", {"Sheet1": [HEAD, *rows]})
    with pytest.raises(DataError, match="4 DICOM files, none of a breast that CMMD_clinicaldata"):
        datasets.load(cmmd)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (1, "B", r"\.xlsx:2: LeftRight is B, expected L or R"),
        (4, "lump", r"\.xlsx:2: abnormality is lump, expected mass, calcification, both"),
        (5, "unclear", r"\.xlsx:2: classification is unclear, expected benign or malignant"),
        (0, "", r"\.xlsx:2: ID1 is empty, expected a value in every line"),
    ],
)
def test_value_that_makes_no_sense_is_refused_with_its_line(
    cmmd: Path, column: int, value: str, message: str
) -> None:
    wrong = tuple(value if place == column else cell for place, cell in enumerate(ROWS[0]))
    sheets.write(cmmd / "CMMD_clinicaldata_revision.xlsx", {"Sheet1": [HEAD, wrong, *ROWS[1:]]})
    with pytest.raises(DataError, match=message):
        datasets.load(cmmd)


def test_file_that_is_no_excel_file_is_refused(cmmd: Path) -> None:
    (cmmd / "CMMD_clinicaldata_revision.xlsx").write_bytes(b"PK no sheet")
    with pytest.raises(DataError, match=r"revision\.xlsx: not a readable Excel file"):
        datasets.load(cmmd)
