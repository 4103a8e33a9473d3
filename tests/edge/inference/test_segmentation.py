"""The small copy of drawn breasts: flat areas, the chest wall and the air beside the breast."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.domain import ImageFacts
from edge.inference.breast import find_breast
from edge.inference.image import Limits, Mammogram, open_mammogram
from edge.inference.margins import Content, content_of, flats_of
from edge.inference.segmentation import Segmentation, segment
from edge.inference.whole_breast import fault_of
from tests.support.films import small

ROWS, COLUMNS = 360, 240
WIDTH = 150
"""Of the drawn breast, from the left side on."""


def breast(foot: float = 30, slope: float = 260) -> NDArray[np.float32]:
    """A digital mammogram: tissue of levels from `foot` on, and black air without noise."""
    y, x = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    depth = 1 - np.hypot((y - ROWS / 2) / (ROWS * 0.42), x / WIDTH)
    noise = np.random.default_rng(5).normal(0, 3, (ROWS, COLUMNS))
    levels = np.minimum(foot + slope * depth, 190) + cv2.GaussianBlur(noise, (0, 0), 1.5)
    return np.where(depth > 0, levels, 0).astype(np.float32)


def seen(pixels: NDArray[np.float32]) -> Segmentation:
    return segment(drawn(np.clip(np.rint(pixels), 0, 255).astype(np.uint8)))


def drawn(pixels: NDArray[np.uint8]) -> Mammogram:
    rows, columns = pixels.shape
    return Mammogram(pixels, ImageFacts(rows, columns, 8, "MONOCHROME2", "png"))


@pytest.mark.parametrize("foot", [5, 15, 30])
@pytest.mark.parametrize("gain", [1, 1.4, 2, 3, 5])
def test_an_overexposed_breast_on_flat_air_is_not_turned(gain: float, foot: float) -> None:
    assert not seen(breast(foot) * gain).turned


@pytest.mark.parametrize("foot", [5, 30, 60])
@pytest.mark.parametrize("slope", [260, 500])
@pytest.mark.parametrize("gain", [1, 1.4])
def test_the_negative_of_a_digital_mammogram_is_turned(
    foot: float, slope: float, gain: float
) -> None:
    assert seen(255 - np.minimum(255, breast(foot, slope) * gain)).turned


@pytest.mark.parametrize("level", [0, 90, 160, 220])
@pytest.mark.parametrize("foot", [5, 30, 60])
@pytest.mark.parametrize(
    "at",
    [(slice(8, 58), slice(-60, -8)), (slice(30, -30), slice(-65, -8))],
    ids=["label", "strip"],
)
def test_a_mark_in_bright_air_leaves_a_negative_turned(
    at: tuple[slice, slice], foot: float, level: int
) -> None:
    for pixels, turned in ((255 - breast(foot), True), (breast(foot), False)):
        pixels[at] = level
        assert seen(pixels).turned is turned


@pytest.mark.parametrize("level", [60, 140, 200])
@pytest.mark.parametrize("share", [0.5, 0.6, 0.7])
def test_a_grey_strip_larger_than_the_air_turns_no_mammogram(level: int, share: float) -> None:
    pixels = breast(15)
    pixels[ROWS // 12 :, -round(share * (COLUMNS - WIDTH)) :] = level
    pixels[-ROWS // 12 :, COLUMNS // 3 :] = level
    assert not seen(pixels).turned


@pytest.mark.parametrize("film", ["P_00288_RIGHT_MLO", "P_00637_RIGHT_CC"])
def test_a_film_with_dark_flat_air_is_not_turned(shared: Path, film: str) -> None:
    path = shared / "data" / "cbis-ddsm" / "full-299" / f"{film}.png"
    assert not segment(open_mammogram(path, Limits())).turned


def test_touching_flat_areas_are_found_one_by_one() -> None:
    pixels = breast()
    pixels[:, -40:] = 255
    levels = {flat.level for flat in flats_of(pixels)}
    assert {0, 255} <= levels


def test_a_strip_on_flat_air_is_an_artefact() -> None:
    pixels = breast()
    pixels[20:-20, -50:-10] = 255
    found = seen(pixels)
    assert [flat.level for flat in found.artefacts] == [255]
    assert found.breast.mask.sum() == pytest.approx(seen(breast()).breast.mask.sum(), rel=0.005)


@pytest.mark.parametrize("gap", [2, 5, 8])
@pytest.mark.parametrize("mirrored", [False, True])
def test_gaps_at_the_chest_wall_are_breast(gap: int, *, mirrored: bool) -> None:
    pixels = breast()
    whole = find_breast(pixels).mask
    for top in (60, 120, 200, 270):
        pixels[top : top + 50, :gap] = 0
    mask = find_breast(np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels).mask
    assert (mask[:, ::-1] if mirrored else mask)[60:310][whole[60:310]].all()


def test_a_label_in_the_air_does_not_make_air_uneven() -> None:
    pixels = breast()
    mask = find_breast(pixels)
    pixels[30:190, -70:-20] = np.random.default_rng(2).normal(230, 20, (160, 50))
    assert fault_of(pixels, mask) is None


@pytest.mark.parametrize("shape", [(1, 300_000), (300_000, 1)])
def test_a_picture_of_one_line_has_no_margins(shape: tuple[int, int]) -> None:
    pixels = (np.arange(300_000) % 200).astype(np.uint8).reshape(shape)
    facts = ImageFacts(*shape, bits=8, photometric="MONOCHROME2", format="png")
    assert content_of(Mammogram(pixels, facts)) == Content(0, shape[0], 0, shape[1])


def side_by_side(what: str) -> NDArray[np.uint8]:
    """Two copies of a real film, or the film with a mark that is no seam."""
    whole = small(480, 262)
    match what:
        case "same way":
            return np.hstack([whole, whole])
        case "four":
            return np.vstack([np.hstack([whole, whole])] * 2)
        case "line":
            return np.asarray(cv2.line(whole.copy(), (90, 0), (90, 479), 255, 2), np.uint8)
    return np.asarray(cv2.rectangle(whole.copy(), (120, 0), (140, 479), 255, -1), np.uint8)


@pytest.mark.parametrize("what", ["same way", "four"])
@pytest.mark.parametrize("negative", [False, True])
def test_pictures_side_by_side_are_known_by_their_seam(what: str, *, negative: bool) -> None:
    pixels = side_by_side(what)
    fault = segment(drawn(255 - pixels if negative else pixels)).fault
    assert "is this more than one picture?" in (fault or "")


@pytest.mark.parametrize("what", ["line", "strip"])
def test_a_line_or_a_strip_across_a_film_is_no_seam(what: str) -> None:
    fault = segment(drawn(side_by_side(what))).fault
    assert "more than one picture" not in (fault or "")
