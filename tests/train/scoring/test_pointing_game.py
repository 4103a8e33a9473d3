"""The pointing game on maps whose highest point is known."""

from dataclasses import replace

import numpy as np
import pytest

from edge.domain import Box
from edge.inference.geometry import Geometry
from tests.support.films_drawn import film, lesion, prepared
from train.recipes.seed import RECIPE
from train.scoring import pointing_game
from train.scoring.pointing_game import Point
from train.scoring.score import Scored

SPEC = replace(RECIPE.input, height=100, width=100)
WHOLE = Geometry(
    100, 100, flipped=False, box=Box(0, 0, 100, 100), top=0, left=0, height=100, width=100
)


def scored(lesions: list[Box], peak: tuple[int, int], geometry: Geometry = WHOLE) -> Scored:
    """One malignant film, its right half breast; its map of 10 x 10 is highest at (row, column)."""
    boxes = tuple(lesion(box.xmin, box.ymin, box.xmax, box.ymax) for box in lesions)
    maps = np.zeros((1, 10, 10), np.float32)
    maps[0][peak] = 1
    image = np.zeros((1, 100, 100))
    image[0, :, 50:] = 0.5
    films = prepared([film(0, malignant=True, lesions=boxes)], image, geometry)
    return Scored(films, np.array([0.5]), maps, None)


def test_map_that_is_highest_on_the_lesion_hits() -> None:
    found = pointing_game.play(scored([Box(60, 20, 70, 30)], (2, 6)), SPEC, 0)
    assert found["films"] == 1
    assert found["in_the_box"]["hits"] == found["with_tolerance"]["hits"] == 1


def test_map_that_is_highest_elsewhere_misses() -> None:
    found = pointing_game.play(scored([Box(60, 20, 70, 30)], (6, 2)), SPEC, 0)
    assert found["in_the_box"]["hits"] == found["with_tolerance"]["hits"] == 0


def test_highest_point_just_beside_the_box_hits_with_the_tolerance_only() -> None:
    """
    The middle of the cell is at 65 across and 25 down; the box ends 2 pixels before it, the
    tolerance is 3.
    """
    found = pointing_game.play(scored([Box(50, 20, 63, 30)], (2, 6)), SPEC, 0)
    assert found["in_the_box"]["hits"] == 0
    assert found["with_tolerance"]["hits"] == 1


def test_chance_is_the_share_of_the_breast_that_the_box_covers() -> None:
    """
    The box is a hundredth of the film and the breast half of it; with a rim of 3 it is 16 x 16.
    """
    found = pointing_game.play(scored([Box(60, 20, 70, 30)], (2, 6)), SPEC, 0)
    assert found["in_the_box"]["chance"] == pytest.approx(0.01 / 0.5, rel=0.01)
    assert found["with_tolerance"]["chance"] == pytest.approx(0.0256 / 0.5, rel=0.01)


def test_margins_that_were_cut_off_are_no_part_of_chance() -> None:
    wide = replace(WHOLE, rows=200, columns=300)
    found = pointing_game.play(scored([Box(60, 20, 70, 30)], (2, 6), wide), SPEC, 0)
    assert found["in_the_box"]["chance"] == pytest.approx(0.01 / 0.5, rel=0.01)


def test_overlapping_boxes_are_counted_once() -> None:
    found = pointing_game.play(scored([Box(60, 20, 70, 30), Box(60, 20, 70, 30)], (2, 6)), SPEC, 0)
    assert found["in_the_box"]["chance"] == pytest.approx(0.02, rel=0.01)


def test_mirrored_and_cropped_film_is_hit_where_its_lesion_went() -> None:
    """
    The right half of a file of 100 x 200 was cut out and mirrored: 120 to 130 across became 70 to
    80.
    """
    geometry = Geometry(
        100, 200, flipped=True, box=Box(100, 0, 200, 100), top=0, left=0, height=100, width=100
    )
    assert (
        pointing_game.play(scored([Box(120, 40, 130, 50)], (4, 7), geometry), SPEC, 0)[
            "in_the_box"
        ]["hits"]
        == 1
    )
    assert (
        pointing_game.play(scored([Box(120, 40, 130, 50)], (4, 2), geometry), SPEC, 0)[
            "in_the_box"
        ]["hits"]
        == 0
    )


def test_padding_is_never_pointed_at() -> None:
    geometry = replace(WHOLE, width=50, box=Box(0, 0, 50, 100))
    maps = np.zeros((10, 10), np.float32)
    maps[3, 8], maps[7, 1] = 9, 1
    assert pointing_game.peak(maps, geometry, SPEC) == Point(15, 75)


def test_benign_films_and_benign_lesions_are_no_targets() -> None:
    boxes = (lesion(0, 0, 10, 10), lesion(50, 50, 60, 60, malignant=False))
    assert pointing_game.targets(film(0, malignant=False, lesions=boxes), WHOLE) == ()
    assert pointing_game.targets(film(0, malignant=True, lesions=boxes), WHOLE) == (
        Box(0, 0, 10, 10),
    )


def test_without_boxes_or_map_there_is_no_game() -> None:
    game = scored([Box(60, 20, 70, 30)], (2, 6))
    assert pointing_game.play(scored([], (2, 6)), SPEC, 0) == {}
    assert pointing_game.play(replace(game, maps=np.zeros((1, 0, 0), np.float32)), SPEC, 0) == {}
