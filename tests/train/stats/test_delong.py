"""DeLong's interval, against the example of the paper itself and against the definition."""

import numpy as np
import pytest

from train.stats import delong

# 43 patients of DeLong, DeLong & Clarke-Pearson (1988): albumin, total protein, K-G score, whether
# the operation helped.
TABLE = """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0
    1.6 5.6 5 1  3.8 5.7 5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1
    4.3 7.0 4 1  3.6 6.7 4 0  2.3 4.4 6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1
    3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1  3.1 6.6 6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1
    3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0  3.7 6.1 5 1  3.3 6.3 7 1  4.2 7.7 6 1
    3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1  3.3 5.7 6 1  3.7 6.9 5 1
    3.6 6.6 5 1
    """
PATIENTS = np.array(TABLE.split(), dtype=np.float64).reshape(-1, 4)
LABELS = PATIENTS[:, 3]
ALBUMIN, PROTEIN, KG = PATIENTS[:, 0], PATIENTS[:, 1], 10 - PATIENTS[:, 2]


@pytest.mark.parametrize(
    ("scores", "value", "error", "interval"),
    [
        (ALBUMIN, 0.7366, 0.0927, (0.5549, 0.9182)),
        (PROTEIN, 0.6478, 0.1000, (0.4518, 0.8439)),
        (KG, 0.7258, 0.1028, (0.5243, 0.9273)),
    ],
)
def test_area_is_that_of_the_published_example(
    scores: np.ndarray[tuple[int], np.dtype[np.float64]],
    value: float,
    error: float,
    interval: tuple[float, float],
) -> None:
    found = delong.area(LABELS, scores)
    assert (found.value, found.error) == pytest.approx((value, error), abs=5e-5)
    assert found.interval == pytest.approx(interval, abs=5e-5)


def test_difference_is_that_of_the_published_example() -> None:
    albumin, protein = (
        delong.difference(LABELS, ALBUMIN, KG),
        delong.difference(LABELS, PROTEIN, KG),
    )
    assert (albumin.value, albumin.error) == pytest.approx((0.0108, 0.0953), abs=5e-5)
    assert (protein.value, protein.error, protein.p) == pytest.approx(
        (-0.0780, 0.1046, 0.4561), abs=5e-5
    )


def test_covariance_is_that_of_the_definition() -> None:
    """Every malignant image against every benign one, one pair after the other."""
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], [11, 7])
    scores = generator.integers(0, 5, (2, 18)).astype(np.float64)
    pairs = np.array(
        [[[(a > b) + (a == b) / 2 for b in row[:11]] for a in row[11:]] for row in scores]
    )
    expected = np.cov(pairs.mean(axis=2)) / 7 + np.cov(pairs.mean(axis=1)) / 11
    values, covariance = delong.areas(labels, scores)
    assert values == pytest.approx(pairs.mean(axis=(1, 2)))
    assert covariance == pytest.approx(expected)


def test_score_does_not_differ_from_itself() -> None:
    found = delong.difference(LABELS, KG, KG)
    assert (found.value, found.error, found.p) == (0, 0, 1)
