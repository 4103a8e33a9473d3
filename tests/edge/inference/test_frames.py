"""Frames about a film, with noise, a gradient or other frames in them, change nothing else."""

from collections.abc import Sequence
from dataclasses import astuple, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.domain import ImageFacts
from edge.inference.image import Mammogram
from edge.inference.margins import content_of
from edge.inference.preprocess import Batch, prepare
from tests.support.films import small
from tests.support.specs import PAD

Film = NDArray[np.uint8]
SPEC = replace(PAD, height=200, width=128, low=0, mask=True)
ROWS, COLUMNS = 400, 220
NEARLY = 0.03
"""Mean difference of two pictures that show the same, of levels from 0 to 1."""
NEAR = 0.02
"""The breast's box moves by less than this share of the film's side."""


def mammogram(pixels: Film) -> Mammogram:
    rows, columns = pixels.shape
    return Mammogram(pixels, ImageFacts(rows, columns, 8, "MONOCHROME2", "png"))


def shown(pixels: Film) -> Batch:
    return prepare(mammogram(pixels), SPEC)


def film() -> Film:
    """A film without its own edges."""
    pixels = small(ROWS, COLUMNS)[12:-12, 6:-6].astype(np.float32)
    return np.asarray(np.rint(250 * pixels / pixels.max()), np.uint8)


def framed(pixels: Film, width: int, level: float, noise: float = 0, slope: float = 0) -> Film:
    """The film in a frame whose level grows by `slope` from corner to corner."""
    wide = np.pad(pixels, width).astype(np.float32)
    y, x = (np.linspace(-0.5, 0.5, side) for side in wide.shape)
    frame = level + slope * (y[:, np.newaxis] + x) / 2
    frame = frame + np.random.default_rng(1).normal(0, noise, wide.shape)
    frame[width:-width, width:-width] = pixels
    return np.asarray(np.rint(np.clip(frame, 0, 255)), np.uint8)


def assert_shows_the_same(pixels: Film, twin: Film, at: int, *, turned: bool = False) -> None:
    """
    Compare a film in a frame with its twin.

    Args:
        pixels: of the film in a frame.
        twin: the film alone.
        at: width of the frame.
        turned: the film in the frame is a negative.
    """
    batch, expected = shown(pixels), shown(twin)
    assert batch.turned == turned
    assert batch.fault == expected.fault
    moved = np.array(astuple(batch.geometry.box)) - at - np.array(astuple(expected.geometry.box))
    sides = np.tile(twin.shape[::-1], 2)
    assert np.abs(moved / sides).max() < NEAR
    assert float(np.abs(batch.tensor - expected.tensor).mean()) < NEARLY


@pytest.mark.parametrize("noise", [8, 16])
@pytest.mark.parametrize("level", [90, 180, 245])
@pytest.mark.parametrize("width", [14, 50])
def test_a_grainy_frame_of_any_grey_changes_nothing(width: int, level: int, noise: int) -> None:
    assert_shows_the_same(framed(film(), width, level, noise), film(), width)


@pytest.mark.parametrize(("level", "slope"), [(215, 60), (150, 60), (150, 120), (60, 60)])
@pytest.mark.parametrize("noise", [0, 5])
def test_a_frame_that_gets_brighter_along_it_changes_nothing(
    level: int, slope: int, noise: int
) -> None:
    assert_shows_the_same(framed(film(), 40, level, noise, slope), film(), 40)


@pytest.mark.parametrize("noise", [0, 5])
def test_a_grainy_frame_about_a_negative_changes_nothing(noise: int) -> None:
    negative = np.asarray(255 - film(), np.uint8)
    assert_shows_the_same(framed(negative, 40, 170, noise, 40), film(), 40, turned=True)


@pytest.mark.parametrize(
    "frames",
    [
        [(2, 0, 0), (8, 255, 0), (2, 0, 0)],
        [(8, 255, 0), (8, 0, 0), (8, 255, 0)],
        [(30, 255, 5), (10, 0, 5)],
        [(20, 128, 6), (20, 240, 6)],
    ],
    ids=["thin lines", "wide lines", "bright in black", "grey in bright"],
)
def test_frames_in_frames_change_nothing(frames: Sequence[tuple[int, int, int]]) -> None:
    pixels = film()
    for width, level, noise in frames:
        pixels = framed(pixels, width, level, noise)
    assert_shows_the_same(pixels, film(), sum(width for width, _, _ in frames))


def test_a_negative_is_cut_to_the_same_box_although_its_air_is_bright() -> None:
    batch, expected = shown(np.asarray(255 - film(), np.uint8)), shown(film())
    assert batch.turned
    assert batch.geometry.box == expected.geometry.box


def lined(pixels: Film, width: int, inset: int, level: int) -> Film:
    """The film with a line of that width drawn all round it, so far from its sides."""
    drawn = pixels.copy()
    end = inset + width
    inner = pixels[end:-end, end:-end]
    drawn[inset : len(drawn) - inset, inset : drawn.shape[1] - inset] = level
    drawn[end:-end, end:-end] = inner
    return drawn


@pytest.mark.parametrize("level", [128, 255])
@pytest.mark.parametrize("inset", [4, 10])
@pytest.mark.parametrize("width", [2, 3])
def test_a_line_drawn_all_round_inside_a_film_changes_nothing(
    width: int, inset: int, level: int
) -> None:
    assert_shows_the_same(lined(film(), width, inset, level), film(), 0)


@pytest.mark.parametrize("level", [128, 255])
def test_two_lines_drawn_all_round_inside_a_film_change_nothing(level: int) -> None:
    pixels = lined(lined(film(), 3, 0, level), 3, 8, level)
    assert_shows_the_same(pixels, film(), 0)


@pytest.mark.parametrize("air", [0, 6])
def test_black_padding_in_a_white_frame_is_air_as_it_is_alone(air: int) -> None:
    padded = framed(np.maximum(film(), np.uint8(air)), 14, 0)
    found = astuple(content_of(mammogram(framed(padded, 10, 255))))
    assert found == tuple(side + 10 for side in astuple(content_of(mammogram(padded))))
