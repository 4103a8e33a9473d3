"""INbreast in its own layout, with films of one shade of grey."""

import plistlib
from pathlib import Path

import numpy as np
import pytest

from edge.domain import Box
from tests.support.films import dicom
from tests.support.tools import DATA
from train.data import datasets
from train.data.datasets import Lesion
from train.errors import DataError

TABLE = """Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads
removed;removed;R;CC;201001;22678622;4;1
removed;removed;L;MLO;201001;22678646;4;3
removed;removed;R;MLO;201002;20586908;1;4a
removed;removed;L;CC;201002;20586934; ;6
"""
NAMES = (
    "22678622_61b13c59bcba149e_MG_R_CC_ANON",
    "22678646_61b13c59bcba149e_MG_L_ML_ANON",
    "20586908_6c613a14b80a8591_MG_R_ML_ANON",
    "20586934_6c613a14b80a8591_MG_L_CC_ANON",
)


@pytest.fixture
def inbreast(tmp_path: Path) -> Path:
    root = tmp_path / "INbreast Release 1.0"
    for folder in ("AllDICOMs", "AllXML"):
        (root / folder).mkdir(parents=True)
    (root / "INbreast.csv").write_text(TABLE)
    for shade, name in enumerate(NAMES):
        (root / "AllDICOMs" / f"{name}.dcm").write_bytes(dicom(np.full((40, 30), shade, np.uint16)))
    return root


def outline(root: Path, number: int, *findings: tuple[str, list[str]]) -> None:
    rois = [
        {"Name": name, "NumberOfPoints": len(points), "Point_px": points}
        for name, points in findings
    ]
    images = {"Images": [{"ImageIndex": 0, "NumberOfROIs": len(rois), "ROIs": rois}]}
    (root / "AllXML" / f"{number}.xml").write_bytes(plistlib.dumps(images))


def test_birads_below_4_is_benign_and_from_4a_on_malignant(inbreast: Path) -> None:
    films = datasets.load(inbreast).films
    assert {film.birads[0]: film.label for film in films} == {
        1: "benign",
        3: "benign",
        4: "malignant",
        6: "malignant",
    }


def test_the_patient_is_the_second_part_of_the_name(inbreast: Path) -> None:
    films = datasets.load(inbreast).films
    assert [
        (film.path.name[:8], film.patient, film.laterality, film.view, film.density)
        for film in films
    ] == [
        ("20586908", "6c613a14b80a8591", "RIGHT", "MLO", 1),
        ("20586934", "6c613a14b80a8591", "LEFT", "CC", None),
        ("22678622", "61b13c59bcba149e", "RIGHT", "CC", 4),
        ("22678646", "61b13c59bcba149e", "LEFT", "MLO", 4),
    ]


def test_normal_film_is_benign_and_says_normal(inbreast: Path) -> None:
    film = datasets.load(inbreast).films[2]
    assert (film.birads, film.label, film.abnormality) == ((1,), "benign", "normal")


def test_outlines_become_boxes_with_the_label_of_the_film(inbreast: Path) -> None:
    outline(
        inbreast,
        20586934,
        ("Mass", ["(10.5, 20)", "(14, 18.25)", "(12, 31)"]),
        ("Calcification", ["(1, 1)", "(2, 2)", "(3, 1)"]),
        ("Cluster", ["(5, 6)", "(7, 8)", "(5, 8)"]),
        ("Point 1", ["(1, 2)"]),
    )
    film = datasets.load(inbreast).films[1]
    assert film.lesions == (
        Lesion(label="malignant", abnormality="mass", box=Box(10.5, 18.25, 14, 31)),
        Lesion(label="malignant", abnormality="calcification", box=Box(5, 6, 7, 8)),
    )
    assert film.abnormality == "calc|mass"


def test_excel_file_says_the_same_as_the_csv(inbreast: Path) -> None:
    from_csv = datasets.load(inbreast).films
    (inbreast / "INbreast.csv").unlink()
    (inbreast / "INbreast.xls").write_bytes((DATA / "inbreast.xls").read_bytes())
    assert datasets.load(inbreast).films == from_csv


def test_missing_dicom_is_named(inbreast: Path) -> None:
    (inbreast / "AllDICOMs" / f"{NAMES[0]}.dcm").unlink()
    with pytest.raises(
        DataError,
        match=r"no AllDICOMs/22678622_\*_MG_\*_ANON\.dcm, which INbreast\.csv names \(1 such\)",
    ):
        datasets.load(inbreast)


def test_dicom_of_no_row_is_named(inbreast: Path) -> None:
    (inbreast / "INbreast.csv").write_text("\n".join(TABLE.splitlines()[:-1]))
    with pytest.raises(DataError, match=r"AllDICOMs/20586934_\* stands in no row of INbreast\.csv"):
        datasets.load(inbreast)


def test_folder_without_its_table_is_refused(inbreast: Path) -> None:
    (inbreast / "INbreast.csv").unlink()
    with pytest.raises(DataError, match=r"found AllDICOMs/ but no INbreast\.csv or INbreast\.xls"):
        datasets.load(inbreast)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (TABLE.replace(";4a", ";0"), r"Bi-Rads of 20586908_\S+ is 0, expected 1, 2, 3, 4a"),
        (TABLE.replace(";4a", ";"), r"Bi-Rads of 20586908_\S+ is empty, expected 1, 2, 3, 4a"),
        (
            TABLE.replace("Bi-Rads", "Score"),
            r"INbreast\.csv:1: no column bi-rads; found patient id",
        ),
    ],
)
def test_table_that_makes_no_sense_is_refused(inbreast: Path, table: str, message: str) -> None:
    (inbreast / "INbreast.csv").write_text(table)
    with pytest.raises(DataError, match=message):
        datasets.load(inbreast)


@pytest.mark.parametrize(
    "content", [b"<plist>", b"no list", plistlib.dumps({"Images": [{"ROIs": [{"Name": "Mass"}]}]})]
)
def test_outlines_that_cannot_be_read_are_named(inbreast: Path, content: bytes) -> None:
    (inbreast / "AllXML" / "20586934.xml").write_bytes(content)
    with pytest.raises(DataError, match=r"20586934\.xml: not the outlines that OsiriX writes"):
        datasets.load(inbreast)


def test_blank_line_says_nothing_and_a_row_without_birads_is_refused(inbreast: Path) -> None:
    table = inbreast / "INbreast.csv"
    table.write_text(TABLE + "\n")
    assert len(datasets.load(inbreast).films) == len(NAMES)
    table.write_text(TABLE.replace("20586934; ;6", "20586934"))
    with pytest.raises(DataError, match=r"Bi-Rads of 20586934_.* is empty, expected 1, 2, 3"):
        datasets.load(inbreast)
