"""Scores, calibration and the operating point, against numbers worked out by hand."""

import numpy as np
import pytest

from train import calibrate, metrics

LABELS = np.array([0, 0, 1, 1], dtype=np.float32)
SCORES = np.array([0.1, 0.4, 0.35, 0.8])
PATIENTS = np.array(["a", "b", "c", "d"])


def drawn(count: int, seed: int = 0) -> tuple[metrics.Labels, metrics.Floats]:
    """Labels that really have the probability which the scores say."""
    generator = np.random.default_rng(seed)
    scores = generator.uniform(0.05, 0.95, count)
    return (generator.uniform(size=count) < scores).astype(np.float32), scores


def test_auc_is_the_share_of_pairs_in_order() -> None:
    assert metrics.auc(LABELS, SCORES) == pytest.approx(3 / 4)


def test_rates_and_confusion_agree_with_counting() -> None:
    called = SCORES >= 0.35
    assert metrics.confusion(LABELS, called) == {"true_negative": 1, "false_positive": 1, "false_negative": 0, "true_positive": 2}
    found = metrics.rates(LABELS, called)
    assert found["accuracy"] == pytest.approx(3 / 4)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == found["sensitivity"] == 1
    assert found["specificity"] == pytest.approx(1 / 2)
    assert found["f1"] == pytest.approx(4 / 5)


def test_measure_has_everything_a_report_shows() -> None:
    found = metrics.measure(LABELS, SCORES, PATIENTS, 0.35, seed=1)
    assert found["brier"] == pytest.approx(np.mean((LABELS - SCORES) ** 2))
    assert set(found["intervals_95"]) == {"auc", "average_precision", "accuracy", "sensitivity", "specificity"}
    assert found["patients"] == 4


def test_calibration_error_is_small_where_scores_are_true_and_large_where_they_are_not() -> None:
    labels, scores = drawn(20_000)
    assert metrics.calibration_error(labels, scores) < 0.02
    assert metrics.calibration_error(labels, np.full_like(scores, 0.95)) == pytest.approx(0.95 - labels.mean(), abs=1e-6)


def test_interval_holds_the_score_and_is_the_same_for_the_same_seed() -> None:
    labels, scores = drawn(60)
    patients = np.array([f"p{number // 2}" for number in range(60)])
    found = metrics.measure(labels, scores, patients, 0.5, seed=3)
    low, high = found["intervals_95"]["auc"]
    assert low < found["auc"] < high
    assert found == metrics.measure(labels, scores, patients, 0.5, seed=3)


def test_interval_counts_patients_not_images() -> None:
    """Every film ten times over brings no new information: the interval must not shrink."""
    labels, scores = drawn(40)
    patients = np.arange(40).astype(str)
    once = metrics.intervals(labels, scores, patients, {"auc": metrics.auc}, 0)["auc"]
    ten_times = metrics.intervals(np.repeat(labels, 10), np.repeat(scores, 10), np.repeat(patients, 10), {"auc": metrics.auc}, 0)["auc"]
    assert ten_times == pytest.approx(once, abs=1e-9)


def test_platt_undoes_a_known_distortion() -> None:
    labels, true = drawn(20_000)
    raw = 1 / (1 + np.exp(-(np.log(true / (1 - true)) - 1) / 2))
    platt = calibrate.platt(labels, raw)
    assert platt.slope == pytest.approx(2, rel=0.05)
    assert platt.intercept == pytest.approx(1, rel=0.1)
    assert np.abs(calibrate.calibrated(raw, platt) - true).max() < 0.03


def test_platt_of_turned_scores_is_flat_and_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    labels, scores = drawn(200)
    assert calibrate.platt(labels, 1 - scores).slope == pytest.approx(calibrate.MIN_SLOPE)
    assert "no better than chance" in capsys.readouterr().err


@pytest.mark.parametrize("sensitivity", [0.5, 0.9, 1.0])
def test_operating_point_is_the_highest_threshold_with_the_sensitivity(sensitivity: float) -> None:
    labels, scores = drawn(300)
    point = calibrate.operating_point(labels, scores, sensitivity, 0.15, "test")
    malignant = np.sort(scores[labels > 0])
    assert np.mean(malignant >= point.threshold) >= sensitivity
    following = malignant[malignant >= point.threshold][0]
    assert np.mean(malignant > following) < sensitivity


@pytest.mark.parametrize("count", [4, 20, 300])
def test_band_leaves_at_least_four_of_five_images_decided(count: int) -> None:
    labels, scores = drawn(count, seed=1)
    point = calibrate.operating_point(labels, scores, 0.9, 0.15, "test")
    assert point.band_low <= point.threshold <= point.band_high
    assert calibrate.decided(scores, point).mean() >= 0.8


def test_histogram_counts_every_image_in_twenty_bins() -> None:
    assert calibrate.histogram(np.array([0.0, 0.04, 0.5, 1.0])) == (2, *[0] * 9, 1, *[0] * 8, 1)
