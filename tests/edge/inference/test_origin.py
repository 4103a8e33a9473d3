"""Film or digital, by the header or by what is seen."""

from typing import Any, Final

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset

from edge.domain import Domain
from edge.inference.breast import find_breast
from edge.inference.image.machine import domain_of, is_mammography
from edge.inference.origin import DEEP, NEAR_AIR, SKIN, domain_by_pixels, rim_of

SIZE: Final = (384, 300)
FOR_PRESENTATION: Final = "1.2.840.10008.5.1.4.1.1.1.2"
SECONDARY: Final = "1.2.840.10008.5.1.4.1.1.7"


def half_disc(*, fades: bool, grain: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """A breast at the left, bright to its skin or fading to it, in air with or without grain."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]]
    inwards = 1 - np.hypot((y - SIZE[0] / 2) / 170, x / 220)
    level = np.clip(inwards * 6, 0, 1) if fades else (inwards > 0)
    picture = 20 + 160 * level.astype(np.float32)
    picture += np.random.default_rng(0).normal(0, grain, SIZE)
    return np.asarray(np.maximum(picture, 0), np.float32)


@pytest.mark.parametrize(
    ("fades", "grain", "expected"),
    [(False, 0.0, "digital"), (False, 2.0, "digital"), (True, 2.0, "film"), (True, 0.0, "unknown")],
)
def test_bright_skin_is_digital_and_fading_skin_in_grain_is_film(
    *, fades: bool, grain: float, expected: Domain
) -> None:
    picture = half_disc(fades=fades, grain=grain)
    assert domain_by_pixels(picture, find_breast(picture)) == expected


def test_a_picture_without_air_says_nothing() -> None:
    mask = np.ones(SIZE, np.bool_)
    assert np.isnan(rim_of(half_disc(fades=True, grain=1.0), mask)).all()


def header(**values: Any) -> Dataset:  # noqa: ANN401 - values of any attribute
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"SOPClassUID": FOR_PRESENTATION}, "digital"),
        ({"SOPClassUID": f"{FOR_PRESENTATION}.1"}, "digital"),
        ({"SOPClassUID": FOR_PRESENTATION, "DetectorType": "FILM"}, "film"),
        ({"SOPClassUID": SECONDARY, "DetectorType": "scintillator"}, "digital"),
        ({"DetectorType": "STORAGE"}, "digital"),
        ({"SOPClassUID": SECONDARY, "ConversionType": "DF"}, "film"),
        ({"SOPClassUID": SECONDARY, "ConversionType": "SI"}, "film"),
        ({"SOPClassUID": SECONDARY, "ConversionType": "WSD", "Modality": "MG"}, None),
        ({"SOPClassUID": SECONDARY}, None),
        ({}, None),
    ],
)
def test_a_header_tells_the_machine_or_leaves_it_open(
    values: dict[str, Any], expected: Domain | None
) -> None:
    assert domain_of(header(**values)) == expected


@pytest.mark.parametrize(("modality", "expected"), [("MG", True), ("CR", False), ("", False)])
def test_only_modality_mg_says_that_it_is_a_mammogram(modality: str, *, expected: bool) -> None:
    assert is_mammography(header(Modality=modality)) is expected


def distances(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    whole = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    return np.asarray(whole / max(mask.shape), np.float32)


@pytest.mark.parametrize("fades", [False, True])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rim_and_air_are_those_of_distances_over_the_whole_picture(
    *, fades: bool, mirrored: bool
) -> None:
    picture = half_disc(fades=fades, grain=2.0)
    if mirrored:
        picture = np.ascontiguousarray(picture[:, ::-1])
    mask = find_breast(picture).mask
    inwards, outwards = distances(mask), distances(~mask)
    air = picture[(outwards > NEAR_AIR[0]) & (outwards <= NEAR_AIR[1])]
    rim = picture[(inwards > SKIN[0]) & (inwards <= SKIN[1])]
    dark, deep = float(np.median(air)), float(np.median(picture[inwards > DEEP]))
    found, clean = rim_of(picture, mask)
    assert found == (float(np.median(rim)) - dark) / (deep - dark)
    assert clean == np.unique(air, return_counts=True)[1].max() / air.size
