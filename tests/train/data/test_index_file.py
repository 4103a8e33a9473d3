"""`mammo-train index`: what it writes is read back as the same films."""

from dataclasses import replace
from pathlib import Path

import pytest

from edge.domain import Box
from tests.support.tiny import write_index
from train import cli
from train.data import datasets, index_file
from train.data.datasets import Index, Lesion
from train.errors import DataError


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """Two films that know everything that a film can know."""
    more = {
        "side": "LEFT",
        "view": "CC",
        "abnormality": "calc|mass",
        "density": "3",
        "birads": "4|5",
        "subtlety": "2",
        "scanner": "B",
        "domain": "digital",
    }
    rows = [
        {
            "path": "a.png",
            "label": "benign",
            "patient": "p1",
            "split": "train",
            "rows": "200",
            "columns": "100",
        },
        {
            "path": "b.png",
            "label": "malignant",
            "patient": "p2",
            "split": "test",
            "rows": "300",
            "columns": "100",
        },
    ]
    first, second = datasets.load(
        write_index(tmp_path / "data" / "first.csv", [row | more for row in rows])
    ).films
    words = ("shape OVAL", "margins SPICULATED", "birads 5")
    lesion = Lesion(label="malignant", abnormality="mass", box=Box(1, 2.5, 3, 4), descriptors=words)
    return Index(
        "drawn", (first, replace(second, lesions=(lesion, replace(lesion, label="benign"))))
    )


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()


def test_films_come_back_as_they_were(index: Index, tmp_path: Path) -> None:
    assert {film.domain for film in index.films} == {"digital"}
    index_file.write(index, tmp_path / "data" / "second.csv")
    assert datasets.load(tmp_path / "data" / "second.csv").films == index.films


def test_films_elsewhere_are_named_by_their_whole_path(index: Index, tmp_path: Path) -> None:
    index_file.write(index, tmp_path / "elsewhere" / "second.csv")
    found = datasets.load(tmp_path / "elsewhere" / "second.csv")
    assert [film.path for film in found.films] == [film.path for film in index.films]


def test_nothing_is_overwritten(index: Index, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"first\.csv: it is there already, expected the name of a new file\.csv"
    ):
        index_file.write(index, tmp_path / "data" / "first.csv")


def test_other_suffix_is_refused(index: Index, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"index\.txt: found another suffix, expected the name of a new file\.csv"
    ):
        index_file.write(index, tmp_path / "index.txt")


def test_command_writes_a_folder_as_an_index(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["index", str(films), "--out", str(tmp_path / "films.csv")]) == 0
    assert "films.csv: 20 images of 10 patients, 0 lesion boxes" in capsys.readouterr().err
    assert datasets.load(tmp_path / "films.csv").patients == datasets.load(films).patients
    assert not (tmp_path / "films-lesions.csv").exists()
