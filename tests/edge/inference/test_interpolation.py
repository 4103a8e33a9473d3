"""Interpolation between pixels, to the bit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.inference.interpolation import TOGETHER, cells_of, is_inside, over


def between(values: NDArray[np.float32], places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Rows in between, one multiplication and one addition after the other, of a whole picture."""
    places = np.clip(places, 0, len(values) - 1)
    before = places.astype(np.intp)
    share = (places - before).astype(np.float32)[:, np.newaxis]
    after = values[np.minimum(before + 1, len(values) - 1)]
    return np.asarray(values[before] * (1 - share) + after * share, np.float32)


@pytest.mark.parametrize("rows", [1, 2, 5, 63])
@pytest.mark.parametrize("columns", [1, 2, 7, 40])
@pytest.mark.parametrize("count", [1, TOGETHER, 3 * TOGETHER + 5])
@pytest.mark.parametrize(("start", "stop"), [(0.0, 1.0), (0.3, 0.45), (-0.4, 0.2), (0.9, 1.6)])
def test_a_part_in_blocks_is_the_whole_picture_at_once(
    rows: int, columns: int, count: int, start: float, stop: float
) -> None:
    values = np.random.default_rng(rows * 100 + columns).normal(50, 30, (rows, columns))
    picture = values.astype(np.float32)
    y = cells_of(count, start * rows, stop * rows, 1)
    x = cells_of(count + 3, start * columns, stop * columns, 1)
    expected = between(np.ascontiguousarray(between(picture, y).T), x).T
    np.testing.assert_array_equal(over(picture, y, x), expected)


def test_as_many_cells_as_pixels_are_the_pixels() -> None:
    picture = np.arange(35, dtype=np.float32).reshape(5, 7)
    np.testing.assert_array_equal(
        over(picture, cells_of(5, 0, 5, 1), cells_of(7, 0, 7, 1)), picture
    )


def test_places_beyond_the_picture_are_told() -> None:
    assert is_inside(np.array([-0.6, -0.4, 3.4, 3.6]), 4).tolist() == [False, True, True, False]
