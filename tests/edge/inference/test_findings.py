"""Peaks of a map of malignancy, laid back onto the original."""

from dataclasses import replace

import numpy as np
import pytest

from edge.domain import Box, HeatMap
from edge.inference.engine.pooling import cells_inside, pooled
from edge.inference.findings import LogitMap, find
from edge.inference.geometry import Geometry
from edge.inference.heat_map import OUTSIDE, heat_map
from edge.models.calibration import sigmoid
from tests.support.specs import PAD

# 20 x 10 cells of 16 pixels; the cut-out fills the width and leaves 32 pixels above and below.
PLACE = Geometry(
    512, 320, flipped=False, box=Box(0, 0, 320, 512), top=32, left=0, height=256, width=160
)
INSIDE = np.zeros((20, 10), np.bool_)
INSIDE[2:18, :8] = True


def cells(*peaks: tuple[int, int, float], place: Geometry = PLACE) -> LogitMap:
    """A map of -4 with peaks at rows and columns, which fall off to their neighbours."""
    logits = np.full((20, 10), -4, np.float32)
    for row, column, height in peaks:
        logits[row - 1 : row + 2, column - 1 : column + 2] = height - 0.5
        logits[row, column] = height
    return LogitMap(logits, INSIDE, place, (16.0, 16.0))


def test_a_peak_is_told_with_its_place_its_size_and_its_probability() -> None:
    (found,) = find(cells((4, 5, 1.0)), sigmoid, 0.5)
    # (row 4.5 * 16 - 32) * 2, since the original is twice as large as the input
    assert (found.x, found.y) == (5.5 * 16 * 2, (4.5 * 16 - 32) * 2)
    assert found.box == Box(4 * 32, (3 * 16 - 32) * 2, 7 * 32, (6 * 16 - 32) * 2)
    assert found.probability == sigmoid(1.0)


def test_a_mirrored_image_has_its_peak_where_it_lies_in_the_original() -> None:
    (found,) = find(cells((4, 5, 1.0), place=replace(PLACE, flipped=True)), sigmoid, 0.5)
    found_at = (found.x, found.box.xmin, found.box.xmax)
    assert found_at == pytest.approx((320 - 5.5 * 32, 320 - 7 * 32, 320 - 4 * 32))


def test_the_highest_comes_first_and_three_are_the_most() -> None:
    peaks = cells((4, 1, 1.0), (9, 6, 3.0), (15, 2, 2.0), (15, 7, 1.5))
    assert [found.probability for found in find(peaks, sigmoid, 0.5)] == [
        sigmoid(height) for height in (3.0, 2.0, 1.5)
    ]


def test_further_peaks_are_told_only_if_they_are_no_benign_ones_by_themselves() -> None:
    peaks = cells((4, 1, -3.0), (9, 6, -2.0))
    assert [found.probability for found in find(peaks, sigmoid, 0.5)] == [sigmoid(-2.0)]


def test_two_peaks_that_share_what_they_see_are_one() -> None:
    assert len(find(cells((4, 1, 1.0), (4, 5, 2.0)), sigmoid, 0.0)[:2]) == 2
    near = find(cells((4, 2, 1.0), (8, 5, 2.0)), sigmoid, 0.5)
    assert [found.probability for found in near] == [sigmoid(2.0)]


def test_a_flat_map_has_one_place() -> None:
    flat = LogitMap(np.zeros((20, 10), np.float32), INSIDE, PLACE, (16.0, 16.0))
    (found, *_) = find(flat, sigmoid, 0.0)
    assert found.box == Box(0, 0, 8 * 32, 512)


def test_what_lies_beside_the_breast_is_no_peak_and_no_score() -> None:
    peaks = cells((4, 1, 1.0))
    peaks.logits[0, 0] = peaks.logits[19, 9] = 9.0
    assert [found.probability for found in find(peaks, sigmoid, 0.5)] == [sigmoid(1.0)]
    assert pooled(peaks.logits, "max", INSIDE) == 1.0


def test_a_cell_sees_the_breast_if_anything_of_it_is_not_black() -> None:
    tensor = np.full((1, 64, 48, 3), -1, np.float32)
    tensor[0, 16, 47, 1] = -0.99
    expected = np.zeros((4, 3), np.bool_)
    expected[1, 2] = True
    np.testing.assert_array_equal(cells_inside(tensor, (4, 3), -1.0), expected)


def test_a_map_whose_cells_are_no_whole_pixels_covers_all_of_the_input() -> None:
    tensor = np.zeros((1, 50, 30, 1), np.float32)
    tensor[0, 49, 29] = 1
    assert cells_inside(tensor, (7, 4), 0.0).nonzero() == (np.array([6]), np.array([3]))


def test_an_input_that_is_black_all_over_has_no_outside() -> None:
    assert cells_inside(np.zeros((1, 64, 48, 1), np.float32), (4, 3), 0.0).all()


@pytest.mark.parametrize("flipped", [False, True])
def test_cells_beside_the_breast_speak_for_nothing_on_the_published_map(*, flipped: bool) -> None:
    spec = replace(PAD, height=320, width=160)
    place = replace(PLACE, flipped=flipped)
    logits = np.full((20, 10), 2, np.float32)
    found: HeatMap = heat_map(logits, place, spec, INSIDE)
    values = np.array(found.values)
    expected = np.full((16, 10), OUTSIDE)
    expected[:, :8] = 2
    np.testing.assert_array_equal(values, expected[:, ::-1] if flipped else expected)
