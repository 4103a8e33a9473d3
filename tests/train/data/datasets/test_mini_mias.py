"""Mini-MIAS in its own layout, with films of black and white instead of women."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.domain import Box
from edge.inference.image import Limits, open_mammogram
from train.data import datasets
from train.errors import DataError

INFO = """INFORMATION FILE
================

This file lists the films in the MIAS database.

1st column: MIAS database reference number.

mdb001 G CIRC B 535 425 197
mdb002 G CIRC B 522 280 69
mdb003 D NORM
mdb004 D NORM
mdb059 F CIRC B *NOTE 3*
mdb060 F NORM
mdb239 D CALC M 645 755 40
mdb239 D CALC M 567 808 25
mdb239 D CIRC B 567 1010 25
mdb240 D NORM

NOTES
=====
3: in some cases calcifications are widely distributed throughout the image.
"""


@pytest.fixture
def mias(tmp_path: Path) -> Path:
    root = tmp_path / "all-mias"
    root.mkdir()
    (root / "Info.txt").write_text(INFO)
    for number in (1, 2, 3, 4, 59, 60, 239, 240):
        draw(root / f"mdb{number:03}.pgm", number)
    return root


def draw(path: Path, shade: int, size: int = 1024) -> None:
    """A film whose lesion, as Info.txt has it for mdb001, is white."""
    pixels = np.full((size, size), shade, np.uint8)
    pixels[1024 - 425 - 197 : 1024 - 425 + 197, 535 - 197 : 535 + 197] = 255
    cv2.imwrite(str(path), pixels)


def test_films_of_one_woman_are_one_patient(mias: Path) -> None:
    films = datasets.load(mias).films
    assert [(film.name, film.patient, film.laterality, film.view) for film in films[:3]] == [
        ("mdb001.pgm", "mias-1", "RIGHT", "MLO"),
        ("mdb002.pgm", "mias-1", "LEFT", "MLO"),
        ("mdb003.pgm", "mias-2", "RIGHT", "MLO"),
    ]
    assert films[6].patient == films[7].patient == "mias-120"


def test_film_is_malignant_where_one_of_its_lines_is(mias: Path) -> None:
    films = datasets.load(mias).films
    assert [film.label for film in films] == ["benign"] * 6 + ["malignant", "benign"]
    assert films[6].abnormality == "calc|mass"
    assert [lesion.label for lesion in films[6].lesions] == ["malignant", "malignant", "benign"]


def test_normal_film_is_benign_and_says_normal(mias: Path) -> None:
    film = datasets.load(mias).films[2]
    assert (film.label, film.abnormality, film.lesions) == ("benign", "normal", ())


def test_lesion_counted_from_the_bottom_lies_where_it_is_seen(mias: Path) -> None:
    film = datasets.load(mias).films[0]
    (lesion,) = film.lesions
    white = open_mammogram(film.path, Limits()).pixels == 255
    y, x = np.flatnonzero(white.any(axis=1)), np.flatnonzero(white.any(axis=0))
    assert lesion.box == Box(x[0], y[0], x[-1] + 1, y[-1] + 1)


def test_lesion_at_the_edge_is_cut_off_there(mias: Path) -> None:
    assert datasets.load(mias).films[6].lesions[2].box == Box(542, 0, 592, 39)


def test_calcifications_without_a_place_have_no_box(mias: Path) -> None:
    film = datasets.load(mias).films[4]
    assert (film.name, film.label, film.lesions) == ("mdb059.pgm", "benign", ())


def test_missing_film_is_named(mias: Path) -> None:
    (mias / "mdb003.pgm").unlink()
    with pytest.raises(DataError, match=r"no mdb003\.pgm, which Info\.txt names \(1 such\)"):
        datasets.load(mias)


def test_film_of_no_line_is_named(mias: Path) -> None:
    draw(mias / "mdb322.pgm", 99)
    with pytest.raises(DataError, match=r"mdb322\.pgm stands in no line"):
        datasets.load(mias)


def test_film_of_another_size_is_refused(mias: Path) -> None:
    draw(mias / "mdb003.pgm", 3, size=512)
    with pytest.raises(
        DataError, match=r"mdb003\.pgm: found 512 x 512 pixels, expected a PGM of 1024 x 1024"
    ):
        datasets.load(mias)


@pytest.mark.parametrize(
    "line",
    [
        "mdb001 G CIRC",
        "mdb001 G CIRC B 535 425",
        "mdb001 G WHAT B 1 2 3",
        "mdb001 D NORM B",
        "mdb001 CIRC B 1 2 3",
    ],
)
def test_line_that_makes_no_sense_is_named(mias: Path, line: str) -> None:
    (mias / "Info.txt").write_text(f"{INFO}{line}\n")
    with pytest.raises(DataError, match=rf"Info\.txt:\d+: found '{line}', expected a line like"):
        datasets.load(mias)
