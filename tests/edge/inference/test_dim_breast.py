"""Dim breasts beside clean air, air that glows, marks darker than it, and fat as dark as it."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.inference.breast import find_breast
from edge.inference.image import Limits, open_mammogram
from edge.inference.segmentation import segment

ROWS, COLUMNS = 360, 240
Floats = NDArray[np.float32]
FILMS = {
    "P_00504_RIGHT_MLO": 0.55,
    "P_00288_RIGHT_MLO": 0.55,
    "P_01220_RIGHT_MLO": 0.49,
    "P_00852_LEFT_MLO": 0.69,
    "P_01394_RIGHT_MLO": 0.62,
    "P_01054_RIGHT_MLO": 0.52,
    "P_00912_LEFT_MLO": 0.54,
    "P_00293_LEFT_MLO": 0.55,
    "P_00474_LEFT_MLO": 0.55,
    "P_00452_RIGHT_CC": 0.42,
    "P_01497_LEFT_CC": 0.38,
    "P_02559_RIGHT_CC": 0.53,
    "P_02563_RIGHT_CC": 0.56,
    "P_01362_RIGHT_CC": 0.55,
    "P_01286_LEFT_MLO": 0.65,
    "P_00241_RIGHT_MLO": 0.73,
}
"""Films of full-299 and the share of them that the breast covers, looked at by eye."""


def outline() -> NDArray[np.bool_]:
    """Half an ellipse at the left side."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    return np.asarray(np.hypot((y - ROWS / 2) / (ROWS * 0.42), x / 150) < 1)


def grain(deviation: float) -> Floats:
    return np.random.default_rng(5).normal(0, deviation, (ROWS, COLUMNS)).astype(np.float32)


def kept(found: NDArray[np.bool_]) -> float:
    """Intersection over union with the drawn breast."""
    return float((found & outline()).sum() / (found | outline()).sum())


@pytest.mark.parametrize("fat", [3, 5, 10])
@pytest.mark.parametrize("muscle", [90, 255])
@pytest.mark.parametrize("height", [80, 150])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_dim_breast_below_bright_muscle_is_found_whole(
    fat: float, muscle: float, height: int, *, mirrored: bool
) -> None:
    pixels = np.where(outline(), fat + np.abs(grain(fat / 5)), 0).astype(np.float32)
    pixels[:height, :90] = muscle * outline()[:height, :90]
    if mirrored:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    mask = find_breast(np.rint(pixels)).mask
    assert kept(mask[:, ::-1] if mirrored else mask) > 0.96


@pytest.mark.parametrize("air", [7, 12, 20, 70])
@pytest.mark.parametrize("noise", [2, 4])
@pytest.mark.parametrize("marks", [[(0, 60)], [(20, 110), (240, 345)], [(18, 342)]])
def test_masked_labels_darker_than_air_leave_the_air_outside(
    air: float, noise: float, marks: list[tuple[int, int]]
) -> None:
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    depth = 1 - np.hypot((y - ROWS / 2) / (ROWS * 0.42), x / 150)
    pixels = np.where(depth > 0, np.minimum(air + 30 + 260 * depth, 230), air) + grain(noise)
    for top, bottom in marks:
        pixels[top:bottom, -30:] = 0
    assert kept(find_breast(np.maximum(pixels, 0).astype(np.float32)).mask) > 0.95


@pytest.mark.parametrize("rows", [(40, 100), (150, 220), (250, 320)])
@pytest.mark.parametrize("depth", [20, 45])
def test_fat_as_dark_as_air_at_the_chest_wall_is_breast(rows: tuple[int, int], depth: int) -> None:
    breast = outline()
    pixels = np.where(breast, 110 + grain(6), 0).astype(np.float32)
    skin = breast & (cv2.erode(breast.astype(np.uint8), np.ones((13, 13), np.uint8)) == 0)
    fat = np.zeros_like(breast)
    fat[slice(*rows), :depth] = True
    pixels[fat & breast & ~skin] = 0
    assert kept(find_breast(pixels).mask) > 0.97


@pytest.mark.parametrize(("film", "share"), FILMS.items())
def test_the_breast_of_a_real_film_is_as_large_as_it_looks(
    shared: Path, film: str, share: float
) -> None:
    path = shared / "data" / "cbis-ddsm" / "full-299" / f"{film}.png"
    found = segment(open_mammogram(path, Limits()))
    assert found.fault is None
    assert found.breast.fraction == pytest.approx(share, abs=0.04)
