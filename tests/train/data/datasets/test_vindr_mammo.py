"""VinDr-Mammo in its own layout, with films of one shade of grey."""

from pathlib import Path

import numpy as np
import pytest

from edge.domain import Box
from tests.support.films import dicom
from train.data import datasets
from train.data.datasets import Lesion
from train.errors import DataError

BREASTS = """study_id,series_id,image_id,laterality,view_position,height,width,\
breast_birads,breast_density,split
s1,e1,i1,L,CC,40,30,BI-RADS 1,DENSITY C,training
s1,e1,i2,R,MLO,40,30,BI-RADS 4,DENSITY C,training
s2,e2,i3,L,CC,40,30,BI-RADS 2,DENSITY B,test
s2,e2,i4,R,CC,40,30,BI-RADS 5,DENSITY B,test
"""
FINDINGS = """image_id,study_id,series_id,laterality,view_position,height,width,\
breast_birads,breast_density,finding_categories,finding_birads,xmin,ymin,xmax,ymax,split
i1,s1,e1,L,CC,40,30,BI-RADS 1,DENSITY C,['No Finding'],,,,,,training
i2,s1,e1,R,MLO,40,30,BI-RADS 4,DENSITY C,"['Mass', 'Skin Retraction']",BI-RADS 4,\
10.5,12,20,45.25,training
i2,s1,e1,R,MLO,40,30,BI-RADS 4,DENSITY C,['Suspicious Calcification'],BI-RADS 3,1,2,3,4,training
i2,s1,e1,R,MLO,40,30,BI-RADS 4,DENSITY C,['Nipple Retraction'],BI-RADS 4,5,6,7,8,training
"""


@pytest.fixture
def vindr(tmp_path: Path) -> Path:
    (tmp_path / "breast-level_annotations.csv").write_text(BREASTS)
    (tmp_path / "finding_annotations.csv").write_text(FINDINGS)
    for number in range(1, 5):
        path = tmp_path / "images" / f"s{(number + 1) // 2}" / f"i{number}.dicom"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dicom(np.full((40, 30), number, np.uint16)))
    return tmp_path


def test_birads_of_the_breast_is_the_label_and_the_split_is_kept(vindr: Path) -> None:
    films = datasets.load(vindr).films
    assert [(each.birads, each.label, each.split, each.patient) for each in films] == [
        ((1,), "benign", "train", "vindr-s1"),
        ((4,), "malignant", "train", "vindr-s1"),
        ((2,), "benign", "test", "vindr-s2"),
        ((5,), "malignant", "test", "vindr-s2"),
    ]
    assert [(each.laterality, each.view, each.density, each.domain) for each in films[:2]] == [
        ("LEFT", "CC", 3, "digital"),
        ("RIGHT", "MLO", 3, "digital"),
    ]


def test_boxes_of_lesions_are_read_with_their_own_label_and_cut_at_the_edge(vindr: Path) -> None:
    film = datasets.load(vindr).films[1]
    assert film.lesions == (
        Lesion(label="malignant", abnormality="mass", box=Box(10.5, 12, 20, 40)),
        Lesion(label="benign", abnormality="calcification", box=Box(1, 2, 3, 4)),
    )
    assert film.abnormality == "calc|mass"


def test_only_a_film_of_birads_1_is_normal(vindr: Path) -> None:
    films = datasets.load(vindr).films
    assert [each.abnormality for each in films] == ["normal", "calc|mass", None, None]


def test_films_that_were_not_downloaded_are_left_out_and_said(
    vindr: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (vindr / "images" / "s1" / "i2.dicom").unlink()
    assert [each.path.stem for each in datasets.load(vindr).films] == ["i1", "i3", "i4"]
    assert "1 films have no file: they are left out" in capsys.readouterr().err


def test_tables_without_any_film_are_refused(vindr: Path) -> None:
    for path in vindr.rglob("*.dicom"):
        path.unlink()
    with pytest.raises(DataError, match=r"none of 4 films is there, expected images/s1/i1\.dicom"):
        datasets.load(vindr)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("BI-RADS 5", "BI-RADS 9", r"annotations\.csv:5: breast_birads is BI-RADS 9, expected"),
        ("B,test", "B,exam", r"annotations\.csv:4: split is exam, expected training, test"),
        ("e1,i1,L", "e1,i1,X", r"annotations\.csv:2: laterality is X, expected L or R"),
        ("breast_birads", "score", r"annotations\.csv:1: no column breast_birads; found study_id"),
    ],
)
def test_table_that_makes_no_sense_is_refused(
    vindr: Path, old: str, new: str, message: str
) -> None:
    (vindr / "breast-level_annotations.csv").write_text(BREASTS.replace(old, new))
    with pytest.raises(DataError, match=message):
        datasets.load(vindr)
