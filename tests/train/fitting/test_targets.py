"""Targets of cells: a lesion's cells, those that are left alone, and background."""

import numpy as np
import pytest

from train.fitting import targets
from train.fitting.targets import Mark

AS_IT_IS = np.array([[1.0, 0, 0], [0, 1, 0]])
SHAPE = (10, 12)


def mark(
    x: float, y: float, half: float = 40, malignant: float = 1.0, *, mass: bool = True
) -> Mark:
    return Mark(x, y, half, half, malignant, mass)


def test_cells_of_a_lesion_lie_about_its_middle_and_weigh_one_together() -> None:
    found = targets.draw([mark(88, 72)], AS_IT_IS, SHAPE)
    rows, columns = np.nonzero(found.lesion)
    assert found.lesion.sum() == pytest.approx(1)
    assert (rows.mean(), columns.mean()) == (4, 5)
    assert np.array_equal(found.malignant, found.lesion)
    assert not found.benign.any()
    assert found.highest == 1


def test_cells_between_lesion_and_background_are_left_alone() -> None:
    found = targets.draw([mark(88, 72)], AS_IT_IS, SHAPE)
    assert not (found.background * found.lesion).any()
    assert ((found.background == 0) & (found.lesion == 0)).any()
    assert found.background[0, 11] == 1


def test_large_lesion_weighs_no_more_than_a_small_one() -> None:
    for half in (10, 30, 70):
        weight = targets.draw([mark(88, 72, half)], AS_IT_IS, SHAPE).lesion.sum()
        assert weight == pytest.approx(1)


def test_lesion_smaller_than_a_cell_takes_the_nearest_one() -> None:
    found = targets.draw([mark(96, 80, half=2)], AS_IT_IS, SHAPE)
    assert 1 <= np.count_nonzero(found.lesion) <= 4
    assert found.lesion.sum() == pytest.approx(1)


def test_lesion_outside_of_the_piece_teaches_nothing() -> None:
    found = targets.draw([mark(-300, 72)], AS_IT_IS, SHAPE)
    assert not found.lesion.any()
    assert found.background.all()
    assert found.highest == 0


def test_targets_follow_the_piece() -> None:
    flipped = np.array([[-1.0, 0, 191], [0, 1, 0]])
    plain, mirrored = (
        targets.draw([mark(40, 72)], to_film, SHAPE).lesion for to_film in (AS_IT_IS, flipped)
    )
    assert np.array_equal(mirrored, plain[:, ::-1])


def test_benign_and_doubtful_lesions_share_their_weight() -> None:
    found = targets.draw([mark(88, 72, malignant=0.25)], AS_IT_IS, SHAPE)
    assert found.malignant.sum() == pytest.approx(0.25)
    assert found.benign.sum() == pytest.approx(0.75)


def test_diagnosis_of_a_calcification_counts_half() -> None:
    found = targets.draw([mark(88, 72, mass=False)], AS_IT_IS, SHAPE)
    assert found.lesion.sum() == pytest.approx(1)
    assert found.malignant.sum() == pytest.approx(0.5)


def test_piece_is_near_a_lesion_only_where_one_touches_it() -> None:
    assert targets.near([mark(88, 72)], AS_IT_IS, SHAPE)
    assert not targets.near([mark(-300, 72)], AS_IT_IS, SHAPE)
    assert not targets.near([], AS_IT_IS, SHAPE)
