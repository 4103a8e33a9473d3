"""What no header calls a mammogram is looked at more closely: pages, pieces, print."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.domain import ImageFacts
from edge.inference import headerless
from edge.inference.image import Limits, Mammogram, open_mammogram
from edge.inference.segmentation import segment
from tests.support.tools import DATA

FILMS = ("cbis-ddsm-benign-cc", "cbis-ddsm-benign-mlo", "cbis-ddsm-malignant-cc")


def film(name: str) -> NDArray[np.uint8]:
    return np.asarray(open_mammogram(DATA / f"{name}.jpg", Limits()).pixels, np.uint8)


def picture(pixels: NDArray[np.uint8]) -> Mammogram:
    rows, columns = pixels.shape
    facts = ImageFacts(rows, columns, 8, "MONOCHROME2", "png")
    return Mammogram(np.ascontiguousarray(pixels), facts)


def fault(pixels: NDArray[np.uint8]) -> str:
    return segment(picture(pixels)).fault or ""


def on_a_page(pixels: NDArray[np.uint8], height: float, level: int) -> NDArray[np.uint8]:
    """The film in the corner of a page, at this share of its height."""
    rows, columns = pixels.shape
    page = np.full((round(rows / height), round(rows / height)), level, np.uint8)
    page[20 : 20 + rows, 20 : 20 + columns] = pixels
    return np.asarray(cv2.resize(page, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))


@pytest.mark.parametrize("name", FILMS)
def test_a_film_has_no_fault(name: str) -> None:
    assert not fault(film(name))


def test_a_large_breast_that_fills_an_upright_detector_has_no_fault() -> None:
    row, column = np.mgrid[:290, :240].astype(np.float32)
    width = np.where(row < 120, 236 - (120 - row), 236 - (row - 120) / 3)
    breast = column < width
    small = np.where(breast, 60 + 100 * np.cos(column / 150), 5).astype(np.float32)
    assert headerless.doubt_of(small, breast, 1.0) is None


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("height", [0.12, 0.25])
@pytest.mark.parametrize("name", FILMS)
def test_a_small_film_on_a_page_is_told(name: str, height: float, level: int) -> None:
    assert "a small picture on a page" in fault(on_a_page(film(name), height, level))


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("name", FILMS)
def test_a_film_with_a_wide_margin_is_no_page(name: str, level: int) -> None:
    assert not fault(on_a_page(film(name), 0.6, level))


def test_what_a_header_calls_a_mammogram_may_take_any_share_of_its_picture() -> None:
    page = picture(on_a_page(film(FILMS[0]), 0.12, 0))
    assert segment(page).fault is not None
    assert segment(replace(page, mammography=True)).fault is None


def pieces(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """Squares of three sizes from all over the breast, with nothing but breast in them."""
    found = segment(picture(pixels))
    rows, columns = pixels.shape
    mask = cv2.resize(found.breast.mask.astype(np.uint8), (columns, rows))
    for share in (0.3, 0.45, 0.6):
        side = round(share * float(np.sqrt(mask.sum())))
        for top in range(0, rows - side, side // 3):
            for left in range(0, columns - side, side // 3):
                square = slice(top, top + side), slice(left, left + side)
                if mask[square].all():
                    yield pixels[square]


@pytest.mark.parametrize("name", FILMS)
def test_nearly_all_pieces_from_inside_a_breast_are_told(name: str) -> None:
    whole = [not fault(piece) for piece in pieces(film(name))]
    assert len(whole) > 20
    assert sum(whole) < 0.1 * len(whole)


@pytest.mark.parametrize("name", [name for name in FILMS if name.endswith("cc")])
def test_both_halves_of_a_craniocaudal_film_are_told(name: str) -> None:
    pixels = film(name)  # those of an oblique one may look like a low breast
    middle = len(pixels) // 2
    assert "the lower border" in fault(pixels[:middle])
    assert "the upper border" in fault(pixels[middle:])


@pytest.mark.parametrize("turns", [1, 3])
@pytest.mark.parametrize("name", FILMS)
def test_a_film_that_lies_on_its_side_is_told(name: str, turns: int) -> None:
    assert fault(np.rot90(film(name), turns))


@pytest.mark.parametrize("name", FILMS)
def test_a_film_that_stands_on_its_head_has_no_fault(name: str) -> None:
    assert not fault(np.rot90(film(name), 2))


def page_of_text(shape: tuple[int, int], size: float, seed: int) -> NDArray[np.uint8]:
    """Lines of letters, white on black, from one margin to the other."""
    letters = np.random.default_rng(seed)
    page = np.zeros(shape, np.uint8)
    margin = shape[1] // 10
    for line in range(margin, shape[0] - margin, round(34 * size)):
        words = "".join(chr(97 + letter) for letter in letters.integers(0, 26, 400)).replace(
            "e", " "
        )
        cv2.putText(page, words, (margin, line), cv2.FONT_HERSHEY_SIMPLEX, size, 255)
    page[:, -margin:] = 0
    return page


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("shape", "size"), [((3508, 2480), 0.9), ((600, 450), 0.3)])
def test_a_page_of_fine_print_is_told(shape: tuple[int, int], size: float, seed: int) -> None:
    page = page_of_text(shape, size, seed)
    assert fault(page)
    assert fault(255 - page)


def test_what_fills_a_page_without_an_outline_is_told_as_print() -> None:
    assert "is this print" in fault(page_of_text((3508, 2480), 0.9, 0))


@pytest.mark.parametrize("gain", [1, 3])
@pytest.mark.parametrize("name", FILMS)
def test_a_sharpened_or_grainy_film_is_no_print(name: str, gain: float) -> None:
    pixels = film(name).astype(np.float32)
    sharpened = pixels + gain * (pixels - cv2.GaussianBlur(pixels, (0, 0), 2))
    grainy = pixels + np.random.default_rng(1).normal(0, 4 * gain, pixels.shape)
    for changed in (sharpened, grainy):
        assert not fault(np.clip(changed, 0, 255).astype(np.uint8))
