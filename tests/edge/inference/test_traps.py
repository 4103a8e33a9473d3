"""What stands about a film changes nothing that a model is shown: frames, strips, mattes, marks."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.domain import ImageFacts
from edge.inference.image import Limits, Mammogram, open_mammogram
from edge.inference.preprocess import Batch, prepare
from tests.support.films import demo_files, film
from tests.support.specs import PAD

Film = NDArray[np.uint8]
MASKED = replace(PAD, height=200, width=128, low=0, mask=True)
ROWS = 420
NEARLY = 0.012
"""Mean difference of two pictures that show the same, of levels from 0 to 1."""


def shown(pixels: NDArray[np.unsignedinteger], bits: int = 8) -> Batch:
    rows, columns = pixels.shape
    facts = ImageFacts(rows, columns, bits, "MONOCHROME2", "png")
    return prepare(Mammogram(pixels, facts), MASKED)


def difference(one: Batch, other: Batch) -> float:
    return float(np.abs(one.tensor - other.tensor).mean())


@pytest.fixture(scope="module")
def films() -> list[Film]:
    """Two demo films, small, without their edges: one CC and one MLO view."""
    return [_small(path) for path in list(demo_files())[:6:3]]


def _small(path: Path) -> Film:
    pixels = open_mammogram(path, Limits()).pixels.astype(np.float32)
    columns = round(pixels.shape[1] * ROWS / pixels.shape[0])
    small = cv2.resize(pixels, (columns, ROWS), interpolation=cv2.INTER_AREA)
    small = small[ROWS * 3 // 100 : ROWS * 97 // 100]
    return np.asarray(255 * (small - small.min()) / np.ptp(small), np.uint8)


def with_frames(pixels: Film) -> Iterator[Film]:
    noise = np.random.default_rng(1)
    for width in (0.03, 0.15, 0.3):
        for level in (255, 180, 90):
            framed = np.pad(pixels, round(width * ROWS), constant_values=level)
            yield framed
            grainy = framed + noise.normal(0, 2, framed.shape) * (framed == level)
            yield np.clip(grainy, 0, 255).astype(np.uint8)


def test_a_frame_of_any_width_and_grey_changes_nothing(films: list[Film]) -> None:
    for pixels in films:
        expected = shown(pixels)
        for framed in with_frames(pixels):
            batch = shown(framed)
            assert not batch.turned
            assert difference(batch, expected) < NEARLY


def test_black_padding_on_any_side_changes_nothing(films: list[Film]) -> None:
    for pixels in films:
        expected = shown(pixels)
        for sides in (
            ((0, 0), (0, 300)),
            ((0, 0), (300, 0)),
            ((200, 0), (0, 0)),
            ((60, 90), (9, 9)),
        ):
            batch = shown(np.pad(pixels, sides))
            assert difference(batch, expected) < 2 * NEARLY  # the crop moves by up to four pixels
            assert batch.geometry.flipped == expected.geometry.flipped


@pytest.mark.parametrize("level", [255, 170, 110])
def test_a_strip_beside_the_breast_changes_nothing(films: list[Film], level: int) -> None:
    for pixels in films:
        expected = shown(pixels)
        free = pixels.shape[1] // 5
        striped = pixels.copy()
        box = expected.geometry.box
        if expected.geometry.flipped:
            striped[:, : min(free, int(box.xmin) - 8)] = level
        else:
            striped[:, max(pixels.shape[1] - free, int(box.xmax) + 8) :] = level
        batch = shown(striped)
        assert not batch.turned
        assert difference(batch, expected) < NEARLY


def test_a_negative_is_turned_and_told_in_frames_too(films: list[Film]) -> None:
    for pixels in films:
        expected = shown(pixels)
        negative = np.asarray(255 - pixels, np.uint8)
        for framed in (negative, np.pad(negative, 40), np.pad(negative, 40, constant_values=255)):
            batch = shown(framed)
            assert batch.turned
            assert difference(batch, expected) < 0.03


def test_a_white_matte_about_the_breast_is_no_bright_air(films: list[Film]) -> None:
    for pixels in films:
        matted = np.where(pixels > 20, pixels, 255).astype(np.uint8)
        batch = shown(matted)
        assert not batch.turned
        assert difference(batch, shown(np.where(pixels > 20, pixels, 0).astype(np.uint8))) < 0.02


@pytest.mark.parametrize("grey", [0, 255])
@pytest.mark.parametrize("radius", [12, 24, 40])
def test_tissue_inside_a_drawn_ring_stays_visible(
    films: list[Film], radius: int, grey: int
) -> None:
    pixels = films[0]
    box = shown(pixels).geometry.box
    ringed = pixels.copy()
    centre = (int((box.xmin + box.xmax) / 2), int((box.ymin + box.ymax) / 2))
    cv2.circle(ringed, centre, radius, grey, 2)
    # A white ring also raises the upper end of the window.
    assert difference(shown(ringed), shown(pixels)) < 0.04


@pytest.mark.parametrize("side", [8, 20])
def test_a_label_brighter_than_the_film_refuses_nothing(films: list[Film], side: int) -> None:
    pixels = films[0].astype(np.uint16) * 12
    labelled = pixels.copy()
    labelled[6 : 6 + side, -side - 6 : -6] = 65535
    batch, expected = shown(labelled, 16), shown(pixels, 12)
    assert difference(batch, expected) < NEARLY
    assert batch.contrast == pytest.approx(expected.contrast, abs=0.01)


@pytest.mark.parametrize("gain", [2, 6])
def test_the_same_numbers_so_many_times_as_bright_give_the_same_picture(
    films: list[Film], gain: int
) -> None:
    dark = np.rint(films[1] / 255 * 40).astype(np.uint8)
    batch, expected = shown(dark), shown(dark * gain)
    np.testing.assert_allclose(batch.tensor, expected.tensor, atol=0.01)
    assert difference(batch, expected) < 1e-3


@pytest.mark.parametrize("offset", [200, 4096, 32768])
def test_an_offset_of_all_levels_changes_nothing(films: list[Film], offset: int) -> None:
    pixels = films[0].astype(np.uint16) * 16
    batch, expected = shown(pixels + np.uint16(offset), 16), shown(pixels, 12)
    assert difference(batch, expected) < 1e-3
    assert batch.contrast == pytest.approx(expected.contrast, abs=0.01)


def test_a_few_levels_of_noise_have_no_contrast() -> None:
    noise = np.random.default_rng(3).integers(120, 124, (300, 200), np.uint8)
    assert shown(noise).contrast < 0.2


def test_two_breasts_in_one_picture_are_told_apart_from_one(films: list[Film]) -> None:
    pixels = films[0]
    mirrored = pixels[:, ::-1]
    assert shown(pixels).fault is None
    assert "chest wall" in (shown(np.hstack([mirrored, pixels])).fault or "")
    assert "another" in (shown(np.hstack([pixels, mirrored])).fault or "")


def test_a_piece_of_a_breast_is_no_whole_breast() -> None:
    pixels = film().pixels
    box = shown(np.asarray(pixels, np.uint8)).geometry.box
    top, left = int(box.ymin + box.ymax) // 2, int(box.xmin + box.xmax) // 2
    piece = np.ascontiguousarray(pixels[top - 90 : top + 90, left - 60 : left + 60])
    assert shown(np.asarray(piece, np.uint8)).fault is not None
