"""RSNA Screening Mammography in its own layout, with films of one shade of grey."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.films import dicom
from train.data import datasets
from train.errors import DataError

TABLE = """site_id,patient_id,image_id,laterality,view,age,cancer,biopsy,invasive,BIRADS,\
implant,density,machine_id,difficult_negative_case
2,10006,462822612,L,CC,61.0,0,0,0,,0,,29,False
2,10006,1459541791,L,MLO,61.0,0,0,0,1.0,0,B,29,False
1,20011,555,R,CC,55.0,1,1,1,0.0,0,D,21,False
1,20011,556,R,AT,55.0,1,1,1,0.0,0,D,21,False
1,30012,557,R,CC,48.0,0,0,0,2.0,1,A,21,False
"""


@pytest.fixture
def rsna(tmp_path: Path) -> Path:
    (tmp_path / "train.csv").write_text(TABLE)
    for shade, line in enumerate(TABLE.splitlines()[1:]):
        _, patient, image, *_ = line.split(",")
        path = tmp_path / "train_images" / patient / f"{image}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dicom(np.full((40, 30), shade, np.uint16)))
    return tmp_path


def test_cancer_of_the_breast_is_the_label(rsna: Path) -> None:
    films = datasets.load(rsna).films
    assert [(each.path.stem, each.label, each.patient, each.view) for each in films] == [
        ("462822612", "benign", "rsna-10006", "CC"),
        ("1459541791", "benign", "rsna-10006", "MLO"),
        ("555", "malignant", "rsna-20011", "CC"),
    ]
    assert [(each.birads, each.density, each.scanner) for each in films] == [
        ((), None, "29"),
        ((1,), 2, "29"),
        ((0,), 4, "21"),
    ]
    assert {each.domain for each in films} == {"digital"}


def test_only_a_negative_screening_without_cancer_is_normal(rsna: Path) -> None:
    assert [each.abnormality for each in datasets.load(rsna).films] == [None, "normal", None]


def test_implants_and_other_views_are_left_out_and_said(
    rsna: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    datasets.load(rsna)
    assert "2 films are of other views or of breasts with implants" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("555,R,CC,55.0,1", "555,R,CC,55.0,", r"train\.csv:4: cancer is empty, expected a value"),
        ("555,R,CC,55.0,1", "555,R,CC,55.0,2", r"train\.csv:4: cancer is 2, expected 0 or 1"),
        ("555,R,CC", "555,B,CC", r"train\.csv:4: laterality is B, expected L or R"),
        ("cancer", "label", r"train\.csv:1: no column cancer; found site_id"),
    ],
)
def test_table_that_makes_no_sense_is_refused(rsna: Path, old: str, new: str, message: str) -> None:
    (rsna / "train.csv").write_text(TABLE.replace(old, new))
    with pytest.raises(DataError, match=message):
        datasets.load(rsna)
