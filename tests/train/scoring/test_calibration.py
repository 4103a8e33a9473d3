"""
Operating points, the band's price and the shift to another prevalence, against numbers worked out
by hand.
"""

import numpy as np
import pytest

from edge.models.calibration import calibrate
from edge.models.manifest import OperatingPoint, Platt
from train.errors import TrainError
from train.scoring import calibration
from train.stats.metrics import Floats, Labels


def two_classes(images: int = 400) -> tuple[Labels, Floats]:
    generator = np.random.default_rng(0)
    labels = (np.arange(images) % 2).astype(np.float32)
    return labels, np.clip(generator.normal(0.4 + 0.2 * labels, 0.15), 0.01, 0.99)


def test_points_are_the_default_and_two_that_others_use() -> None:
    labels, scores = two_classes()
    points = calibration.operating_points(labels, scores, 0.8, 0.15, "test")
    assert list(points) == ["default", "sensitivity-0.90", "specificity-0.889"]
    found = {
        name: float(np.mean(scores[labels > 0] >= point.threshold))
        for name, point in points.items()
    }
    assert found["default"] == pytest.approx(0.8)
    assert found["sensitivity-0.90"] == pytest.approx(0.9)


def test_specificity_point_is_the_lowest_threshold_that_reaches_it() -> None:
    labels, scores = two_classes()
    point = calibration.operating_points(labels, scores, 0.9, 0.15, "test")["specificity-0.889"]
    assert np.mean(scores[labels == 0] < point.threshold) == pytest.approx(0.89)
    below = scores[scores < point.threshold].max()
    assert np.mean(scores[labels == 0] < below) < 0.889


def test_every_threshold_lies_inside_its_band() -> None:
    for point in calibration.operating_points(*two_classes(), 0.9, 0.15, "test").values():
        assert point.band_low < point.threshold < point.band_high


def test_wider_band_decides_less_and_errs_less() -> None:
    labels, scores = two_classes()
    curve = calibration.coverage_risk(labels, scores, 0.5)
    assert (curve[0].undecided, curve[0].coverage) == (0, 1)
    assert [point.coverage for point in curve] == sorted(
        (point.coverage for point in curve), reverse=True
    )
    assert curve[-1].risk < curve[0].risk
    assert curve[0].risk == pytest.approx(float(np.mean((scores >= 0.5) != (labels > 0))))


def test_refused_mammogram_is_decided_by_no_band() -> None:
    labels, scores = two_classes()
    shut = np.arange(len(labels)) < 100
    curve = calibration.coverage_risk(labels, calibration.with_refused(scores, shut), 0.45, shut)
    assert curve[0].coverage == pytest.approx(0.75)
    rest = calibration.coverage_risk(labels[~shut], scores[~shut], 0.45)
    assert [point.risk for point in curve] == [point.risk for point in rest]
    assert [point.coverage for point in curve] == pytest.approx(
        [0.75 * point.coverage for point in rest]
    )


def test_calibration_clips_raw_scores_where_the_daemon_does() -> None:
    platt = Platt(slope=0.3, intercept=0.1)
    ends = np.array([0.0, 1e-8, 3e-7, 1.0])
    assert calibration.calibrated(ends, platt).tolist() == pytest.approx(
        [calibrate(raw, platt) for raw in ends], rel=1e-9
    )


def test_refused_mammogram_counts_as_one_half() -> None:
    scores = calibration.with_refused(np.array([0.1, 0.9]), np.array([True, False]))
    assert scores.tolist() == [0.5, 0.9]


def test_prevalence_shift_follows_bayes() -> None:
    # Odds 1:1 at one half; at a prevalence of 1 % they fall by 99.
    assert calibration.at_prevalence(np.array([0.5]), 0.5, 0.01) == pytest.approx([0.01])
    p = np.array([0.02, 0.3, 0.97])
    assert calibration.at_prevalence(
        calibration.at_prevalence(p, 0.48, 0.0059), 0.0059, 0.48
    ) == pytest.approx(p)


def test_shifted_calibration_and_point_make_the_same_decisions() -> None:
    labels, raw = two_classes()
    platt = calibration.platt(labels, raw)
    scores = calibration.calibrated(raw, platt)
    point = calibration.operating_point(labels, scores, 0.9, 0.15, "test")
    moved = calibration.shifted_point(point, 0.5, 0.0059)
    rare = calibration.calibrated(raw, calibration.shifted(platt, 0.0059))
    assert rare.mean() < 0.05
    np.testing.assert_array_equal(rare >= moved.threshold, scores >= point.threshold)
    np.testing.assert_array_equal(
        calibration.decided(rare, moved), calibration.decided(scores, point)
    )


def test_shift_leaves_a_band_that_reaches_the_end_of_the_scale() -> None:
    point = OperatingPoint(threshold=0.5, band_low=0, band_high=1, chosen_on="test")
    moved = calibration.shifted_point(point, 0.5, 0.1)
    assert (moved.band_low, moved.threshold, moved.band_high) == pytest.approx((0, 0.1, 1))


def test_fitted_calibration_says_for_which_prevalence_it_holds() -> None:
    labels, raw = two_classes()
    keep = (labels == 0) | (np.arange(len(labels)) < 100)
    assert calibration.platt(labels[keep], raw[keep]).prevalence == pytest.approx(0.2)


def test_calibration_of_unknown_prevalence_is_not_shifted() -> None:
    with pytest.raises(TrainError, match="does not say for which prevalence"):
        calibration.shifted(Platt(slope=1, intercept=0), 0.1)
