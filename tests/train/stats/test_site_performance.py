"""What the device says of 200 simulated women is what scikit-learn and our own statistics say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as sk

from edge.cli import main
from edge.models.pairs import Pair
from edge.models.performance import measure
from tests.support.pairs import fill, fill_exams, women
from train.stats import bootstrap, delong, metrics

PAIRS = women(200, 17)
LABELS = np.array([pair.is_malignant for pair in PAIRS], dtype=np.float32)
SCORES = np.array([pair.malignant for pair in PAIRS])
WOMEN = np.array([pair.woman for pair in PAIRS])
CALLED = SCORES >= 0.5


def rounded(pairs: list[Pair]) -> list[Pair]:
    """Make many scores equal."""
    return [replace(pair, malignant=round(pair.malignant, 1)) for pair in pairs]


@pytest.mark.parametrize("pairs", [PAIRS, rounded(PAIRS)], ids=["distinct", "ties"])
def test_the_area_is_scikit_learn_s(pairs: list[Pair]) -> None:
    scores = np.array([pair.malignant for pair in pairs])
    assert measure(pairs).auc.value == pytest.approx(sk.roc_auc_score(LABELS, scores), abs=1e-12)


def test_rates_are_scikit_learn_s() -> None:
    found = measure(PAIRS)
    assert found.sensitivity.value == pytest.approx(sk.recall_score(LABELS, CALLED))
    assert found.specificity.value == pytest.approx(sk.recall_score(LABELS, CALLED, pos_label=0))


def test_the_calibration_error_is_that_of_the_model_card() -> None:
    expected = metrics.calibration_error(LABELS, SCORES)
    assert measure(PAIRS).calibration_error == pytest.approx(expected)


@pytest.mark.parametrize("pairs", [PAIRS, rounded(PAIRS)], ids=["distinct", "ties"])
def test_with_an_image_a_woman_the_interval_is_about_delong_s(pairs: list[Pair]) -> None:
    single = [replace(pair, woman=str(number)) for number, pair in enumerate(pairs)]
    scores = np.array([pair.malignant for pair in single])
    found = measure(single).auc.interval_95
    low, high = delong.area(LABELS, scores).interval
    assert found == pytest.approx((low, high), abs=0.01)
    assert found[1] - found[0] == pytest.approx(high - low, rel=0.1)


def test_with_many_the_interval_is_about_the_bootstrap_s_over_women() -> None:
    low, high = bootstrap.interval(
        bootstrap.auc(LABELS, SCORES, bootstrap.draw(LABELS, WOMEN, 0))
    ) or (0.0, 0.0)
    found = measure(PAIRS).auc.interval_95
    assert found == pytest.approx((low, high), abs=0.02)
    single = [replace(pair, woman=str(number)) for number, pair in enumerate(PAIRS)]
    narrow = measure(single).auc.interval_95
    assert found[1] - found[0] > narrow[1] - narrow[0]


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    truth = measure(women(20_000, 99))
    held = [
        {
            rate: getattr(drawn, rate).interval_95[0]
            <= getattr(truth, rate).value
            <= getattr(drawn, rate).interval_95[1]
            for rate in ("auc", "sensitivity", "specificity")
        }
        for drawn in (measure(women(100, seed)) for seed in range(100, 300))
    ]
    for rate in ("auc", "sensitivity", "specificity"):
        assert 0.9 <= np.mean([one[rate] for one in held]) <= 0.99, rate


def test_what_the_command_says_of_exams_of_200_women_is_scikit_learn_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill_exams(tmp_path / "state", PAIRS)
    fill(tmp_path / "state", women(40, 18))
    config = tmp_path / "edge.toml"
    config.write_text(f'[state]\npath = "{tmp_path}/state"\n[inbox]\npath = "{tmp_path}/inbox"\n')
    assert main.main(["performance", "--json", "--config", str(config)]) == 0
    found = json.loads(capsys.readouterr().out)["exams"]
    worth = found["performance"]
    assert worth["auc"]["value"] == pytest.approx(sk.roc_auc_score(LABELS, SCORES), abs=1e-12)
    assert worth["auc"]["interval_95"] == list(measure(PAIRS).auc.interval_95)
    assert worth["sensitivity"]["value"] == pytest.approx(sk.recall_score(LABELS, CALLED))
    specificity = sk.recall_score(LABELS, CALLED, pos_label=0)
    assert worth["specificity"]["value"] == pytest.approx(specificity)
    sick = [pair.woman for pair in PAIRS if pair.is_malignant]
    assert found["malignant"] == {"exams": len(sick), "women": len(set(sick))}
