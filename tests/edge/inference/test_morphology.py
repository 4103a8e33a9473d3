"""Opening and closing by a disc, as distances over the whole picture give them."""

from math import ceil

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.inference.morphology import Bits, closed, opened, widened


def distance(mask: Bits) -> NDArray[np.float32]:
    return np.asarray(cv2.distanceTransform(mask, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def opened_as_a_whole(mask: Bits, radius: float, beyond: int) -> Bits:
    margin = ceil(radius) + 1
    padded = np.asarray(cv2.copyMakeBorder(mask, margin, margin, margin, margin, beyond), np.uint8)
    core = (distance(padded) > radius).astype(np.uint8)
    within = distance(1 - core) <= radius
    return np.asarray(within[margin:-margin, margin:-margin], np.uint8)


def things(seed: int, rows: int, columns: int, share: float) -> Bits:
    """Blobs of a few pixels to the whole picture, some of them at its sides."""
    noise = np.random.default_rng(seed).normal(0, 1, (rows, columns)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1 + seed % 7)
    return np.asarray(smooth >= np.quantile(smooth, 1 - share), np.uint8)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 70),
    columns=st.integers(1, 70),
    share=st.floats(0.001, 1),
    radius=st.floats(1, 40),
)
def test_opening_and_closing_look_at_no_less_than_they_need(
    *, seed: int, rows: int, columns: int, share: float, radius: float
) -> None:
    mask = things(seed, rows, columns, share)
    for beyond in (cv2.BORDER_REFLECT, cv2.BORDER_REPLICATE):
        expected = opened_as_a_whole(mask, radius, beyond)
        np.testing.assert_array_equal(opened(mask, radius, beyond), expected)
    expected = 1 - opened_as_a_whole(1 - mask, radius, cv2.BORDER_REPLICATE)
    np.testing.assert_array_equal(closed(mask, radius), expected)
    np.testing.assert_array_equal(widened(mask, radius), distance(1 - mask) <= radius)


@pytest.mark.parametrize("level", [0, 1])
def test_an_empty_and_a_full_mask_stay_so(level: int) -> None:
    mask = np.full((40, 30), level, np.uint8)
    for found in (opened(mask, 5), closed(mask, 5), widened(mask, 5)):
        np.testing.assert_array_equal(found, mask)
