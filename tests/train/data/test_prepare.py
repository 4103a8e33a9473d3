"""The cache of prepared images."""

from collections.abc import Iterator
from dataclasses import astuple, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest

from edge.domain import Box
from edge.inference.image import Limits, open_mammogram
from tests.support.tools import DATA
from train.data import datasets, prepare
from train.data import films as films_of
from train.data.datasets import Film, Lesion
from train.data.parallel import Jobs, Work, on_this_machine
from train.errors import DataError
from train.recipes.seed import RECIPE

SPEC = RECIPE.input


def test_cache_holds_what_the_daemon_would_see(films: Path, tmp_path: Path) -> None:
    index = datasets.load(films)
    found = prepare.prepared(index, SPEC, tmp_path / "cache")
    tensor = films_of.prepare_film(index.films[3], SPEC).tensor
    assert np.abs(films_of.model_input(found.images[3], SPEC) - tensor).max() < 1e-3
    assert found.labels.tolist() == [film.malignant for film in index.films]


def refuse(*_: object) -> Iterator[Any]:
    """An engine that must not be asked."""
    raise AssertionError


def test_second_call_prepares_nothing(films: Path, tmp_path: Path) -> None:
    index = datasets.load(films)
    first = prepare.prepared(index, SPEC, tmp_path / "cache")
    again = prepare.prepared(index, SPEC, tmp_path / "cache", refuse)
    assert np.array_equal(first.images, again.images)
    assert first.geometry == again.geometry


def test_interrupted_preparation_goes_on_where_it_stopped(films: Path, tmp_path: Path) -> None:
    index = datasets.load(films)
    jobs_left: list[int] = []

    def seven_then_stop(work: Work, jobs: Jobs) -> Iterator[tuple[int, Any]]:
        yield from islice(on_this_machine(work, jobs), 7)
        raise KeyboardInterrupt

    def watched(work: Work, jobs: Jobs) -> Iterator[tuple[int, Any]]:
        jobs_left.append(len(jobs))
        return on_this_machine(work, jobs)

    with pytest.raises(KeyboardInterrupt):
        prepare.prepared(index, SPEC, tmp_path / "cache", seven_then_stop)
    found = prepare.prepared(index, SPEC, tmp_path / "cache", watched)
    assert jobs_left == [len(index.films) - 7]
    assert np.array_equal(found.images, prepare.prepared(index, SPEC, tmp_path / "other").images)


def test_another_preprocessing_gets_another_cache(films: Path) -> None:
    index = datasets.load(films)
    assert prepare.cache_key(index, SPEC) != prepare.cache_key(
        index, replace(SPEC, percentile_low=2.0)
    )


def test_another_picture_under_the_old_name_and_of_the_old_size_is_prepared_anew(
    tmp_path: Path,
) -> None:
    def write(film: str) -> np.ndarray[Any, Any]:
        pixels = open_mammogram(DATA / f"cbis-ddsm-{film}.jpg", Limits()).pixels
        small = cv2.resize(pixels, (200, 300), interpolation=cv2.INTER_AREA).astype(np.uint8)
        for name, one in (("a", small), ("b", small[::-1])):
            (tmp_path / f"{name}.pgm").write_bytes(b"P5 200 300 255\n" + one.tobytes())
        return np.array(
            prepare.prepared(datasets.load(tmp_path / "i.csv"), SPEC, tmp_path / "cache").images
        )

    (tmp_path / "i.csv").write_text("path,label,patient\na.pgm,benign,a\nb.pgm,malignant,b\n")
    assert not np.array_equal(write("benign-cc"), write("malignant-cc"))


def test_unreadable_image_is_left_out_and_said(
    films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(20):
        cv2.imwrite(
            str(films / "Benign" / f"P_{900 + number:05}.png"),
            np.full((64, 64), 100 + number, np.uint8),
        )
    (films / "Benign" / "P_00900.png").write_bytes(b"no picture")
    found = prepare.prepared(datasets.load(films), SPEC, tmp_path / "cache")
    assert list(found.refused) == ["Benign/P_00900.png"]
    assert len(found.films) == 39
    assert "1 of 40 images" in capsys.readouterr().err


def test_one_film_in_two_files_of_two_patients_is_refused(films: Path, tmp_path: Path) -> None:
    pixels = cv2.imread(str(films / "Benign" / "P_00000_L.png"), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    cv2.imwrite(str(films / "Malignant" / "P_00777_L.tif"), pixels)
    with pytest.raises(
        DataError,
        match=(
            r"P_00000_L\.png and Malignant/P_00777_L\.tif show the same "
            r"pixels but belong to .* and P_00777"
        ),
    ):
        prepare.prepared(datasets.load(films), SPEC, tmp_path / "cache")


def test_data_set_of_unreadable_images_is_refused(films: Path, tmp_path: Path) -> None:
    for path in (films / "Malignant").iterdir():
        path.write_text(f"no picture {path.name}")
    with pytest.raises(
        DataError,
        match=(
            r"10 of 20 images .* are refused and left out "
            r"\(Malignant/P_00001_L\.png: unsupported format"
        ),
    ):
        prepare.prepared(datasets.load(films), SPEC, tmp_path / "cache")


@pytest.mark.parametrize("squeezed", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("aspect", ["pad", "squeeze"])
def test_lesion_boxes_lie_where_the_lesion_does_in_the_models_input(
    tmp_path: Path, *, squeezed: bool, mirrored: bool, aspect: Literal["pad", "squeeze"]
) -> None:
    rows, columns = np.mgrid[:400, :300]
    from_the_wall = np.hypot(columns / 180, (rows - 200) / 180)
    pixels = np.where(from_the_wall < 1, 130 - 90 * from_the_wall, 0).astype(np.uint8)
    pixels[150:190, 60:90] = 255
    box = Box(60, 150, 90, 190)
    if mirrored:
        pixels, box = np.ascontiguousarray(pixels[:, ::-1]), Box(210, 150, 240, 190)
    if squeezed:
        pixels = cv2.resize(pixels, (300, 300), interpolation=cv2.INTER_AREA).astype(np.uint8)
        box = replace(box, ymin=box.ymin * 0.75, ymax=box.ymax * 0.75)
    cv2.imwrite(str(tmp_path / "film.png"), pixels)
    lesion = Lesion(label="benign", abnormality="mass", box=box)
    film = Film(
        path=tmp_path / "film.png",
        name="film",
        label="benign",
        patient="p",
        lesions=(lesion,),
        aspect=4 / 3 if squeezed else None,
    )
    batch = films_of.prepare_film(film, replace(SPEC, aspect=aspect))
    bright = batch.tensor[0, :, :, 0] > 0.6
    y, x = np.flatnonzero(bright.any(axis=1)), np.flatnonzero(bright.any(axis=0))
    expected = (x[0], y[0], x[-1] + 1, y[-1] + 1)
    assert astuple(films_of.lesion_boxes(film, batch.geometry)[0]) == pytest.approx(
        expected, abs=1.5
    )
    assert (batch.geometry.rows, batch.geometry.columns) == pixels.shape


def test_lesion_outside_the_breast_crop_has_no_area(films: Path) -> None:
    film = datasets.load(films).films[0]
    geometry = films_of.prepare_film(film, SPEC).geometry
    far = Lesion(label="benign", abnormality=None, box=Box(0, 0, 1, 1))
    (box,) = films_of.lesion_boxes(
        replace(film, lesions=(far,)), replace(geometry, box=Box(10, 10, 100, 150))
    )
    assert (box.xmax - box.xmin) * (box.ymax - box.ymin) == 0


def test_some_of_the_films_keep_their_geometry(films: Path, tmp_path: Path) -> None:
    index = datasets.load(films)
    found = prepare.prepared(index, SPEC, tmp_path / "cache")
    chosen = found.of(index.films[4:6])
    assert chosen.geometry == found.geometry[4:6]
    assert [film.name for film in chosen.films] == [film.name for film in index.films[4:6]]
