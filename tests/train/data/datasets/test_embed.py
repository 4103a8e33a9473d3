"""EMBED in its own layout, with films of one shade of grey."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edge.domain import Box
from tests.support.films import dicom
from train.data import datasets
from train.data.datasets import Film, Lesion
from train.errors import DataError

CLINICAL = """empi_anon,acc_anon,study_date_anon,tissueden,numfind,side,asses,path_severity,\
bside,massmargin,massdens,calcfind,calcdistri,implanfind
1,11,2013-01-01,3.0,1,B,N,,,,,,,
2,21,2013-01-01,2.0,1,L,S,0.0,L,S,,,,
2,21,2013-01-01,2.0,2,L,B,,,,,C,,
2,21,2013-01-01,2.0,3,R,B,,,,E,,,
2,20,2012-01-01,2.0,1,,N,,,,,,,
3,31,2013-01-01,,1,R,S,4.0,R,,,C,G,
4,41,2013-01-01,1.0,1,L,A,,,,,,,
5,51,2013-01-01,1.0,1,L,N,,,,,,,1
6,61,2013-01-01,1.0,1,L,S,6.0,L,,,,,
"""
HEAD = (
    "empi_anon,acc_anon,anon_dicom_path,FinalImageType,ImageLateralityFinal,ViewPosition,"
    "spot_mag,ROI_coords,Rows,Columns,BreastImplantPresent,ManufacturerModelName"
)
IMAGES = {
    "normal": "1,11,{},2D,L,CC,,(),40,30,NO,Selenia Dimensions",
    "cancer": '2,21,{},2D,L,MLO,,"((5, 2, 18, 44),)",40,30,,Selenia Dimensions',
    "other side": '2,21,{},2D,R,MLO,,"[[1, 2, 3, 4]]",40,30,,Selenia Dimensions',
    "year before": "2,20,{},2D,L,CC,,(),40,30,,Selenia Dimensions",
    "year before right": "2,20,{},2D,R,CC,,(),40,30,,Selenia Dimensions",
    "biopsied": "3,31,{},2D,R,CC,,(),40,30,,Senographe",
    "called back": "4,41,{},2D,L,CC,,(),40,30,,Senographe",
    "implant": "5,51,{},2D,L,CC,,(),40,30,,Senographe",
    "metastasis": "6,61,{},2D,L,CC,,(),40,30,,Senographe",
    "synthetic": "1,11,{},cview,L,CC,,(),40,30,,Senographe",
    "spot": "1,11,{},2D,L,CC,1.0,(),40,30,,Senographe",
    "from the side": "1,11,{},2D,L,ML,,(),40,30,,Senographe",
}


@pytest.fixture
def embed(tmp_path: Path) -> Path:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "EMBED_OpenData_clinical.csv").write_text(CLINICAL)
    lines = [HEAD]
    for shade, (name, line) in enumerate(IMAGES.items()):
        place = f"cohort_1/{line.split(',')[0]}/{line.split(',')[1]}/1.2.3/{name}.dcm"
        lines.append(line.format(f"/mnt/NAS2/mammo/anon_dicom/{place}"))
        path = tmp_path / "images" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dicom(np.full((40, 30), shade, np.uint16)))
    (tmp_path / "tables" / "EMBED_OpenData_metadata.csv").write_text("\n".join(lines))
    return tmp_path


def by_name(embed: Path) -> Mapping[str, Film]:
    return {film.path.stem: film for film in datasets.load(embed).films}


def test_label_is_that_of_the_side_and_certain(embed: Path) -> None:
    assert {name: film.label for name, film in by_name(embed).items()} == {
        "normal": "benign",
        "cancer": "malignant",
        "other side": "benign",
        "year before right": "benign",
        "biopsied": "benign",
    }


def test_breast_in_which_cancer_was_found_at_any_time_is_never_benign(embed: Path) -> None:
    assert "year before" not in by_name(embed)


def test_films_without_certain_diagnosis_are_left_out_and_said(
    embed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    datasets.load(embed)
    assert "4 films are of breasts with an implant or without a certain" in capsys.readouterr().err


def test_film_tells_what_the_tables_know(embed: Path) -> None:
    films = by_name(embed)
    assert (films["normal"].abnormality, films["normal"].birads) == ("normal", (1,))
    assert (films["cancer"].abnormality, films["cancer"].birads) == ("calc|mass", (2, 4))
    assert films["biopsied"].abnormality == "calc"
    seen = films["cancer"]
    assert (seen.patient, seen.laterality, seen.view) == ("embed-2", "LEFT", "MLO")
    assert (seen.density, seen.scanner, seen.domain) == (2, "Selenia Dimensions", "digital")


def test_box_is_ymin_xmin_ymax_xmax_and_cut_at_the_edge(embed: Path) -> None:
    films = by_name(embed)
    (lesion,) = films["cancer"].lesions
    assert lesion == Lesion(label="malignant", abnormality=None, box=Box(2, 5, 30, 18))
    (other,) = films["other side"].lesions
    assert other == Lesion(label="benign", abnormality="mass", box=Box(2, 1, 4, 3))


def test_path_outside_of_every_cohort_is_refused_with_its_line(embed: Path) -> None:
    table = embed / "tables" / "EMBED_OpenData_metadata.csv"
    table.write_text(table.read_text().replace("cohort_1/1/11/1.2.3/normal", "elsewhere/normal"))
    with pytest.raises(DataError, match=r"metadata\.csv:2: anon_dicom_path is /mnt\S+, expected"):
        datasets.load(embed)


def test_missing_column_is_named(embed: Path) -> None:
    table = embed / "tables" / "EMBED_OpenData_clinical.csv"
    table.write_text(CLINICAL.replace("path_severity", "severity"))
    with pytest.raises(DataError, match=r"clinical\.csv:1: no column path_severity; found empi"):
        datasets.load(embed)
