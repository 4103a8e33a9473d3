"""Films whose air is bright are turned, others are left alone."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.domain import ImageFacts
from edge.inference.image import Limits, Mammogram, Pixels, decode
from edge.inference.preprocess import prepare
from edge.inference.segmentation import segment
from tests.support.films import FILM, deep, dicom, film, raster
from tests.support.specs import PAD
from tests.support.tools import DATA

FILMS = sorted(DATA.glob("*.jpg"))


def thumbnail(path: Path) -> NDArray[np.uint8]:
    pixels = decode(path.read_bytes(), Limits()).pixels
    return np.asarray(
        cv2.resize(pixels, (pixels.shape[1] * 512 // 800, 512), interpolation=cv2.INTER_AREA),
        np.uint8,
    )


def is_inverted(pixels: Pixels) -> bool:
    return segment(plain(pixels, pixels.dtype.itemsize * 8)).turned


def toned(pixels: Pixels, gamma: float) -> NDArray[np.uint8]:
    return np.asarray(np.rint((pixels / 255) ** gamma * 255), np.uint8)


def plain(pixels: Pixels, bits: int, background: int | None = None) -> Mammogram:
    return Mammogram(
        pixels, ImageFacts(pixels.shape[0], pixels.shape[1], bits, "MONOCHROME2", "png"), background
    )


@pytest.mark.parametrize("path", FILMS, ids=lambda path: path.stem)
@pytest.mark.parametrize("gamma", [0.7, 1, 1.4])
def test_bright_air_is_known_in_light_and_in_dark_films(path: Path, gamma: float) -> None:
    pixels = toned(thumbnail(path), gamma)
    assert not is_inverted(pixels)
    assert is_inverted(255 - pixels)
    assert is_inverted(deep(255 - pixels))


def test_a_white_frame_about_a_film_is_no_bright_air() -> None:
    pixels = thumbnail(FILM)
    pixels[:20] = pixels[-20:] = 255
    pixels[:, :12] = pixels[:, -12:] = 255
    assert not is_inverted(pixels)
    assert is_inverted(255 - pixels)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_is_left_as_it_is(level: int) -> None:
    assert not is_inverted(np.full((300, 200), level, np.uint8))


def test_a_picture_of_two_equal_halves_is_left_as_it_is() -> None:
    pixels = np.zeros((300, 200), np.uint8)
    pixels[:, 100:] = 200
    assert not is_inverted(pixels)
    assert not is_inverted(255 - pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (3, 1), (2, 500), (11, 9)])
def test_any_small_picture_has_an_answer(shape: tuple[int, int]) -> None:
    pixels = np.arange(shape[0] * shape[1], dtype=np.uint16).reshape(shape)
    assert is_inverted(pixels) in {True, False}


def test_a_negative_is_turned_and_its_padding_stays_black() -> None:
    pixels = film().pixels
    negative = np.asarray(255 - pixels, np.uint8)
    padded = np.pad(negative, ((0, 0), (0, 90)), constant_values=7)
    expected = prepare(plain(pixels, 8), PAD)
    batch = prepare(plain(padded, 8, background=7), PAD)
    assert batch.turned
    assert np.abs(batch.tensor - expected.tensor).mean() < 0.02


def test_twelve_bits_inverted_in_sixteen_keep_their_contrast() -> None:
    pixels = deep(film().pixels, 12)
    pixels[0, 0] = 4095
    inverted = decode(raster("png", 65535 - pixels), Limits())
    one, other = prepare(plain(pixels, 12), PAD), prepare(inverted, PAD)
    assert other.contrast == pytest.approx(one.contrast, abs=1e-4)
    np.testing.assert_allclose(other.tensor, one.tensor, atol=1e-3)


@pytest.mark.parametrize("stated", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("meant", ["MONOCHROME1", "MONOCHROME2"])
def test_a_dicom_gives_the_same_input_whether_or_not_its_photometric_interpretation_is_true(
    stated: str, meant: str
) -> None:
    pixels = film().pixels
    stored = np.asarray(255 - pixels if meant == "MONOCHROME1" else pixels, np.uint8)
    image = decode(dicom(stored, PhotometricInterpretation=stated), Limits())
    expected = decode(dicom(np.asarray(pixels, np.uint8)), Limits())
    np.testing.assert_allclose(prepare(image, PAD).tensor, prepare(expected, PAD).tensor, atol=1e-5)
    assert replace(image.facts, photometric="MONOCHROME2") == replace(
        expected.facts, photometric="MONOCHROME2"
    )
