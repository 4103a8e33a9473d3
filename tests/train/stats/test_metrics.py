"""Scores, calibration and the operating point, against numbers worked out by hand."""

import json

import numpy as np
import pytest
from sklearn import metrics as sk

from train import wording
from train.scoring import calibration
from train.stats import bootstrap, metrics

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
    assert metrics.confusion(LABELS, called) == {
        "true_negative": 1,
        "false_positive": 1,
        "false_negative": 0,
        "true_positive": 2,
    }
    found = metrics.rates(LABELS, called)
    assert found["accuracy"] == pytest.approx(3 / 4)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == found["sensitivity"] == 1
    assert found["specificity"] == pytest.approx(1 / 2)
    assert found["f1"] == pytest.approx(4 / 5)


def test_measure_has_everything_a_report_shows() -> None:
    found = metrics.measure(LABELS, SCORES, PATIENTS, 0.35, seed=1)
    assert found["brier"] == pytest.approx(np.mean((LABELS - SCORES) ** 2))
    expected = {
        "auc",
        "average_precision",
        "accuracy",
        "precision",
        "recall",
        "f1",
        "sensitivity",
        "specificity",
        "brier",
        "ece",
    }
    assert expected <= set(found["intervals_95"])
    assert found["patients"] == 4
    json.dumps(found, allow_nan=False)


def test_rates_agree_with_scikit_learn() -> None:
    labels, scores = drawn(200)
    called = scores >= 0.6
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        labels > 0, called, average="binary"
    )
    found = metrics.rates(labels, called)
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx(
        [precision, recall, f1]
    )
    assert found["negative_predictive_value"] == pytest.approx(np.mean(labels[~called] == 0))


def test_precision_of_no_calls_and_sensitivity_of_no_malignant_images_are_unknown() -> None:
    found = metrics.rates(LABELS, np.zeros(4, dtype=np.bool_))
    assert (found["precision"], found["f1"], found["specificity"]) == (None, 0, 1)
    benign = metrics.at_threshold(LABELS[:2], SCORES[:2], 0.35, np.ones((3, 2)))
    assert (benign["sensitivity"], benign["negative_predictive_value"], benign["specificity"]) == (
        None,
        1,
        0.5,
    )
    assert (
        benign["intervals_95"]["sensitivity"]
        is benign["at_screening_prevalence"]["precision"]
        is None
    )
    assert wording.with_interval(benign, "sensitivity") == "-"


def test_predictive_values_follow_bayes() -> None:
    """
    Of 100,000 women 590 have a cancer, 531 of them are called, and so are 19,882 of the other
    99,410.
    """
    found = metrics.predictive_values(0.9, 0.8, metrics.SCREENING_PREVALENCE)
    assert found["precision"] == pytest.approx(531 / (531 + 19_882))
    assert found["negative_predictive_value"] == pytest.approx(79_528 / (79_528 + 59))


def test_predictive_values_come_with_intervals_over_patients() -> None:
    labels, scores = drawn(400)
    weights = bootstrap.draw(labels, np.arange(400).astype(str), 0)
    found = metrics.at_threshold(labels, scores, 0.5, weights)["at_screening_prevalence"]
    for name in ("precision", "negative_predictive_value"):
        low, high = found["intervals_95"][name]
        assert low < found[name] < high


def test_predictive_value_of_what_is_never_said_is_unknown() -> None:
    assert metrics.predictive_values(0, 1, 0.1)["precision"] is None


def test_calibration_line_is_1_and_0_where_scores_are_true() -> None:
    labels, scores = drawn(50_000)
    found = metrics.calibration(labels, scores, np.ones((1, len(labels))))
    assert found["calibration_slope"] == pytest.approx(1, abs=0.03)
    assert found["calibration_intercept"] == pytest.approx(0, abs=0.03)


def test_calibration_slope_of_scores_twice_as_sure_as_they_may_be_is_one_half() -> None:
    labels, scores = drawn(50_000)
    odds = (scores / (1 - scores)) ** 2
    found = metrics.calibration(labels, odds / (1 + odds), np.ones((1, len(labels))))
    assert found["calibration_slope"] == pytest.approx(0.5, abs=0.02)


def test_classes_that_scores_separate_have_no_calibration_line() -> None:
    labels = np.repeat([0, 1], 20).astype(np.float32)
    found = metrics.calibration(labels, np.linspace(0.01, 0.99, 40), np.ones((3, 40)))
    assert found["calibration_slope"] is None
    assert found["intervals_95"]["calibration_slope"] is None


def test_reliability_bins_hold_every_image() -> None:
    labels, scores = drawn(500)
    bins = metrics.reliability(labels, scores)
    assert sum(one["images"] for one in bins) == 500
    gaps = sum(one["images"] * abs(one["mean_score"] - one["malignant_share"]) for one in bins)
    assert gaps / 500 == pytest.approx(metrics.calibration_error(labels, scores))


def test_calibration_error_is_small_where_scores_are_true_and_large_where_they_are_not() -> None:
    labels, scores = drawn(20_000)
    assert metrics.calibration_error(labels, scores) < 0.02
    assert metrics.calibration_error(labels, np.full_like(scores, 0.95)) == pytest.approx(
        0.95 - labels.mean(), abs=1e-6
    )


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
    once = metrics.measure(labels, scores, patients, 0.5, 0)
    ten_times = metrics.measure(
        np.repeat(labels, 10), np.repeat(scores, 10), np.repeat(patients, 10), 0.5, 0
    )
    for name in ("auc", "average_precision", "accuracy", "ece", "calibration_slope"):
        assert ten_times["intervals_95"][name] == pytest.approx(
            once["intervals_95"][name], abs=1e-6
        )


def test_every_draw_scores_as_scikit_learn_does_with_its_weights() -> None:
    labels, scores = drawn(80)
    scores = scores.round(1)
    weights = bootstrap.draw(labels, np.arange(80).astype(str), 0)[:20]
    areas, precisions = (
        score(labels, scores, weights) for score in (bootstrap.auc, bootstrap.average_precision)
    )
    for weight, area, precision in zip(weights, areas, precisions, strict=True):
        assert area == pytest.approx(sk.roc_auc_score(labels, scores, sample_weight=weight))
        assert precision == pytest.approx(
            sk.average_precision_score(labels, scores, sample_weight=weight)
        )


def test_draws_hold_whole_patients_and_both_classes() -> None:
    labels = np.array([1, 0, 0, 0, 0, 0], dtype=np.float32)
    patients = np.array(["a", "a", "b", "b", "c", "c"])
    weights = bootstrap.draw(labels, patients, 0)
    assert weights.shape == (bootstrap.RESAMPLES, 6)
    assert np.array_equal(weights[:, ::2], weights[:, 1::2])
    assert (weights[:, 0] > 0).all()
    assert (weights.sum(axis=1) == 6).all()


def test_platt_undoes_a_known_distortion() -> None:
    labels, true = drawn(20_000)
    raw = 1 / (1 + np.exp(-(np.log(true / (1 - true)) - 1) / 2))
    platt = calibration.platt(labels, raw)
    assert platt.slope == pytest.approx(2, rel=0.05)
    assert platt.intercept == pytest.approx(1, rel=0.1)
    assert np.abs(calibration.calibrated(raw, platt) - true).max() < 0.03


def test_platt_of_turned_scores_is_flat_and_warned_about(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels, scores = drawn(200)
    assert calibration.platt(labels, 1 - scores).slope == pytest.approx(calibration.MIN_SLOPE)
    assert "no better than chance" in capsys.readouterr().err


@pytest.mark.parametrize("sensitivity", [0.5, 0.9, 1.0])
def test_operating_point_is_the_highest_threshold_with_the_sensitivity(sensitivity: float) -> None:
    labels, scores = drawn(300)
    point = calibration.operating_point(labels, scores, sensitivity, 0.15, "test")
    malignant = np.sort(scores[labels > 0])
    assert np.mean(malignant >= point.threshold) >= sensitivity
    following = malignant[malignant >= point.threshold][0]
    assert np.mean(malignant > following) < sensitivity


@pytest.mark.parametrize("count", [4, 20, 300])
def test_band_leaves_at_least_four_of_five_images_decided(count: int) -> None:
    labels, scores = drawn(count, seed=1)
    point = calibration.operating_point(labels, scores, 0.9, 0.15, "test")
    assert point.band_low <= point.threshold <= point.band_high
    assert calibration.decided(scores, point).mean() >= 0.8


def test_histogram_counts_every_image_in_twenty_bins() -> None:
    assert calibration.histogram(np.array([0.0, 0.04, 0.5, 1.0])) == (2, *[0] * 9, 1, *[0] * 8, 1)
