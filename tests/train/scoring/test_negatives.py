"""Pictures that are no mammograms, as the input gate learns from them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from train.errors import DataError
from train.recipes.seed import RECIPE
from train.scoring import negatives


def colourful(path: Path) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (120, 90, 3), np.uint8))
    return path


def test_colour_pictures_are_made_grey_instead_of_being_left_out(tmp_path: Path) -> None:
    colourful(tmp_path / "photo.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    read = negatives.read([tmp_path], RECIPE.input)
    assert read.images.shape == (1 + negatives.DRAWN, 150, 150)
    assert read.images.max() <= 1


def test_same_picture_twice_counts_once_whatever_its_name(tmp_path: Path) -> None:
    data = colourful(tmp_path / "photo.png").read_bytes()
    (tmp_path / "again.png").write_bytes(data)
    assert len(negatives.read([tmp_path, tmp_path], RECIPE.input).images) == 1 + negatives.DRAWN


def test_broken_picture_is_left_out(tmp_path: Path) -> None:
    colourful(tmp_path / "photo.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG broken")
    (tmp_path / "empty.png").write_bytes(b"")
    assert len(negatives.read([tmp_path], RECIPE.input).images) == 1 + negatives.DRAWN


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--not-mammograms .*no picture there"):
        negatives.read([tmp_path], RECIPE.input)


def test_drawn_pictures_are_the_same_every_time_and_all_different() -> None:
    first = list(negatives.drawn())
    assert first == list(negatives.drawn())
    assert len(set(first)) == negatives.DRAWN
