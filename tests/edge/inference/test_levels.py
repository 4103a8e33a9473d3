"""Quantiles and shares of grey levels."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.inference.levels import MANY, quantiles, shares

COUNT = 3 * MANY + 1
PERCENT = (0, 0.1, 1, 25, 50, 99.5, 100)


def air(noise: float) -> NDArray[np.float32]:
    """Values of a film: two thirds are air, most of it at one level."""
    values = np.random.default_rng(3).uniform(20, 200, COUNT)
    values[: COUNT * 2 // 3] = np.random.default_rng(4).normal(2, noise, COUNT * 2 // 3).clip(0)
    return (np.floor(values * 64) / 64).astype(np.float32)


@pytest.mark.parametrize(
    "values",
    [
        air(0.01),
        air(3.0),
        air(3.0) * np.float32(257),
        air(3.0)[::-1][: MANY - 1],
        -air(3.0),
        air(3.0) - np.float32(4),
        np.zeros(COUNT, np.float32),
        np.full(COUNT, 65535, np.float32),
        np.repeat(np.array([0, 200], np.float32), MANY),
        np.repeat(np.array([-0.0, 0, 1e-40, np.inf], np.float32), MANY),
        np.arange(COUNT, dtype=np.float32),
        np.random.default_rng(5).uniform(0, 1e-3, COUNT).astype(np.float32),
        np.random.default_rng(6).integers(0, 65536, COUNT).astype(np.uint16),
        np.random.default_rng(7).integers(0, 256, COUNT).astype(np.uint8),
        np.array([7], np.float32),
    ],
    ids=lambda values: f"{values.dtype}-{values[0]:g}-{values[-1]:g}-{len(values)}",
)
def test_quantiles_are_values_of_the_picture_in_their_order(values: NDArray[np.generic]) -> None:
    ordered = np.sort(values)
    expected = tuple(float(ordered[round((len(values) - 1) * each / 100)]) for each in PERCENT)
    assert quantiles(values, *PERCENT) == expected


def test_quantiles_of_every_second_pixel_are_those_of_a_copy() -> None:
    picture = air(3.0)[: 128 * 96].reshape(128, 96)
    picture = np.tile(picture, (3, 3))
    assert quantiles(picture[::2, ::2], *PERCENT) == quantiles(picture[::2, ::2].copy(), *PERCENT)


def test_shares_of_all_levels_add_up_to_the_picture() -> None:
    levels = np.random.default_rng(8).integers(0, 256, (70, 50)).astype(np.uint8)
    counts = np.bincount(levels.ravel(), minlength=256)
    np.testing.assert_array_equal(shares(levels), counts / levels.size)
