"""Renderings of a piece of film: another tone, the same breast."""

import numpy as np
import pytest

from train.fitting import rendering
from train.fitting.rendering import Picture


@pytest.fixture
def piece() -> Picture:
    """A smooth breast with a bright round thing in it; the right third is air."""
    rows, columns = np.mgrid[0:128, 0:96]
    tissue = 90 + 60 * np.sin(rows / 19) * np.cos(columns / 23)
    tissue[(rows - 60) ** 2 + (columns - 30) ** 2 < 100] += 60
    tissue[:, 64:] = 0
    return np.asarray(np.clip(tissue, 0, 255), np.uint8)


def test_same_generator_gives_the_same_rendering(piece: Picture) -> None:
    one, two = (rendering.render(piece, np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(one, two)


def test_air_stays_black_in_every_rendering(piece: Picture) -> None:
    for seed in range(60):
        found = rendering.render(piece, np.random.default_rng(seed))
        assert found.shape == piece.shape
        assert found.dtype == np.uint8
        assert not found[piece == 0].any()


def test_renderings_differ_in_brightness_and_contrast(piece: Picture) -> None:
    breast = piece > 0
    found = [rendering.render(piece, np.random.default_rng(seed))[breast] for seed in range(60)]
    assert np.std([each.mean() for each in found]) > 15
    assert np.std([each.std() for each in found]) > 8


def test_bright_lesion_stays_brighter_than_its_surroundings(piece: Picture) -> None:
    rows, columns = np.mgrid[0:128, 0:96]
    distance = (rows - 60) ** 2 + (columns - 30) ** 2
    inside, around = distance < 64, (distance > 144) & (distance < 300)
    found = [rendering.render(piece, np.random.default_rng(seed)) for seed in range(60)]
    assert sum(each[inside].mean() > each[around].mean() for each in found) >= 57


def test_tone_curves_are_monotone_from_black_to_white() -> None:
    for seed in range(200):
        values = rendering.curve(np.random.default_rng(seed))
        assert values[0] == pytest.approx(0, abs=1e-9)
        assert values[-1] == pytest.approx(1, abs=1e-9)
        assert np.diff(values).min() >= -1e-9


def test_digital_look_raises_detail_above_thickness() -> None:
    rows, columns = np.mgrid[0:128, 0:96]
    slope = (70 + rows + 6 * np.sin(columns)).astype(np.uint8)

    def detail(picture: Picture) -> float:
        """Spread within rows over the spread from row to row."""
        return float(picture.std(axis=1).mean() / picture.mean(axis=1).std())

    found = [detail(rendering.as_digital(slope, np.random.default_rng(seed))) for seed in range(40)]
    assert np.median(found) > 1.3 * detail(slope)


def test_piece_of_air_has_no_digital_look() -> None:
    air = np.zeros((64, 64), np.uint8)
    assert np.array_equal(rendering.as_digital(air, np.random.default_rng(0)), air)
