"""CDD-CESM in its own layout, with images of one shade of grey."""

import json
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.domain import Box
from tests.support import sheets
from train.data import datasets
from train.data.datasets import Lesion
from train.errors import DataError

HEAD = (
    *("Image_name", "Patient_ID", "Side", "Type", "View", "Age", "Breast density (ACR)"),
    *("BIRADS", "Findings", "Tags", "Pathology Classification/ Follow up", "Machine"),
)
ROWS = (
    ("P1_R_DM_CC", "1", "R", "DM", "CC", "60", "C", "5", "Mass", "irregular", "Malignant", "1"),
    ("P1_R_DM_CC ", "1", "R", "DM", "CC", "60", "C", "2", "Calcifications", "", "Benign", "1"),
    ("P1_R_CM_CC", "1", "R", "CESM", "CC", "60", "", "5", "Mass", "", "Malignant", "1"),
    ("P1_L_DM_MLO", "1", "L", "DM", "MLO", "60", "C", "1.0", "Normal", "", "Normal", "1"),
    ("P20_L_DM_CC", "20", "L", "DM", "CC", "44", "B", "3$4", "Asymmetry", "", "Benign", "2"),
)
OUTLINES = (
    "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,"
    "region_attributes"
)


@pytest.fixture
def cesm(tmp_path: Path) -> Path:
    root = tmp_path / "PKG - CDD-CESM" / "CDD-CESM"
    images = root / "Low energy images of CDD-CESM"
    images.mkdir(parents=True)
    for shade, name in enumerate(("P1_R_DM_CC", "P1_L_DM_MLO", "P20_L_DM_CC"), 1):
        cv2.imwrite(str(images / f"{name}.jpg"), np.full((40, 30), 50 * shade, np.uint8))
    sheets.write(
        root / "Radiology-manual-annotations.xlsx",
        {"summary": [("what", "n")], "all": [HEAD, *ROWS]},
    )
    return tmp_path


def outlines(cesm: Path, *shapes: tuple[str, Mapping[str, object]]) -> None:
    lines = [
        f'{name},1,{{}},1,0,"{json.dumps(shape).replace(chr(34), chr(34) * 2)}",{{}}'
        for name, shape in shapes
    ]
    path = cesm / "PKG - CDD-CESM" / "CDD-CESM" / "Radiology_hand_drawn_segmentations_v2.csv"
    path.write_text("\n".join([OUTLINES, *lines]))


def test_low_energy_images_are_read_and_subtracted_ones_are_not(cesm: Path) -> None:
    films = datasets.load(cesm).films
    assert [(each.path.stem, each.patient, each.laterality, each.view) for each in films] == [
        ("P1_L_DM_MLO", "cesm-1", "LEFT", "MLO"),
        ("P1_R_DM_CC", "cesm-1", "RIGHT", "CC"),
        ("P20_L_DM_CC", "cesm-20", "LEFT", "CC"),
    ]
    assert {each.domain for each in films} == {"digital"}


def test_image_of_several_rows_is_malignant_if_one_of_them_is(cesm: Path) -> None:
    film = datasets.load(cesm).films[1]
    assert (film.label, film.abnormality) == ("malignant", "calc|mass")
    assert (film.birads, film.density) == ((5, 2), 3)


def test_normal_image_is_benign_and_says_normal(cesm: Path) -> None:
    film = datasets.load(cesm).films[0]
    assert (film.label, film.abnormality, film.birads) == ("benign", "normal", (1,))


def test_outlines_of_every_shape_become_boxes_with_the_label_of_the_image(cesm: Path) -> None:
    polygon = {"name": "polygon", "all_points_x": [5, 9, 7], "all_points_y": [2, 3, 8]}
    outlines(
        cesm,
        ("P20_L_DM_CC .jpg", polygon),
        ("P20_L_DM_CC.jpg", {"name": "ellipse", "cx": 10, "cy": 20, "rx": 4, "ry": 6}),
        ("P20_L_DM_CC.jpg", {"name": "circle", "cx": 2, "cy": 20, "r": 4}),
        ("P20_L_DM_CC.jpg", {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}),
        ("P20_L_DM_CC.jpg", {"name": "point", "cx": 1, "cy": 2}),
        ("P20_L_CM_CC.jpg", polygon),
    )
    boxes = (Box(5, 2, 9, 8), Box(6, 14, 14, 26), Box(0, 16, 6, 24), Box(1, 2, 4, 6))
    assert datasets.load(cesm).films[2].lesions == tuple(
        Lesion(label="benign", abnormality="asymmetry", box=box) for box in boxes
    )


def test_lesions_of_an_image_of_several_kinds_have_no_kind(cesm: Path) -> None:
    outlines(cesm, ("P1_R_DM_CC.jpg", {"name": "circle", "cx": 9, "cy": 9, "r": 4}))
    (lesion,) = datasets.load(cesm).films[1].lesions
    assert (lesion.label, lesion.abnormality) == ("malignant", None)


def test_outline_that_cannot_be_read_is_refused_with_its_line(cesm: Path) -> None:
    outlines(cesm, ("P1_R_DM_CC.jpg", {"name": "polygon", "all_points_x": [1, 2]}))
    with pytest.raises(DataError, match=r"_v2\.csv:2: region_shape_attributes is .* VGG"):
        datasets.load(cesm)


def test_images_without_the_table_are_refused(cesm: Path) -> None:
    next(cesm.rglob("*.xlsx")).unlink()
    with pytest.raises(DataError, match=r"no Radiology-manual-annotations\.xlsx, expected it"):
        datasets.load(cesm)


def test_unknown_pathology_is_refused_with_its_line(cesm: Path) -> None:
    table = next(cesm.rglob("*.xlsx"))
    wrong = [("?" if cell == "Malignant" else cell) for cell in ROWS[0]]
    sheets.write(table, {"all": [HEAD, wrong, *ROWS[1:]]})
    with pytest.raises(DataError, match=r"xlsx:2: Pathology \S+ Follow up is \?, expected Normal"):
        datasets.load(cesm)
