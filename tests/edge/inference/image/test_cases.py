"""Cases of ../shared: each must show what its clean twin shows."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.inference.image import Limits, Mammogram, decode

TWINS = {
    "08-modality-lut-12": "08-modality-lut-12",
    "09-voi-lut-8-packed": "09-voi-lut-8",
    "09b-voi-lut-8-words": "09-voi-lut-8",
    "10-j2k-signed": "10-j2k-signed",
    "11-no-delimiter": "11-no-delimiter",
    "11b-zeros-for-delimiter": "11-no-delimiter",
    "12-implicit-meta": "11-no-delimiter",
    "13-window-in-groups": "13-window-in-groups",
    "14-raw-by-class": "14-raw-by-class",
    "18-decimal-comma": "18-decimal-comma",
    "19-j2k-called-jpeg": "11-no-delimiter",
    "19b-jpeg-called-j2k": "11-no-delimiter",
}


def read(path: Path) -> Mammogram:
    return decode(path.read_bytes(), Limits())


def shares(image: Mammogram) -> NDArray[np.float64]:
    white = image.white or 2**image.facts.bits - 1
    found: NDArray[np.float64] = image.pixels / white
    return found


@pytest.mark.usefixtures("decoders")
@pytest.mark.parametrize("name", TWINS)
def test_a_case_shows_what_its_twin_shows(name: str, shared: Path) -> None:
    folder = shared / "cases" / "images"
    image, twin = read(folder / f"{name}.dcm"), read(folder / f"{TWINS[name]}.right.dcm")
    np.testing.assert_allclose(shares(image), shares(twin), atol=1 / 255)
    assert image.facts.flags == twin.facts.flags


def test_grey_and_alpha_of_sixteen_bits_are_read_as_sixteen(shared: Path) -> None:
    image = read(shared / "cases" / "images" / "16-grey-alpha-16.tif")
    assert (image.facts.bits, image.pixels.itemsize) == (16, 2)
