"""An exported file stands in for its network only where it says the same."""

from typing import Any

import numpy as np
import pytest

from edge.models.manifest import Platt
from train.exporting import parity
from train.stats.metrics import Floats

LABELS = (np.arange(200) % 2).astype(np.float32)
PATIENTS = np.array([f"p{number // 2}" for number in range(200)])
RAW = np.clip(np.random.default_rng(0).normal(0.4 + 0.2 * LABELS, 0.2), 0.01, 0.99)
SAME = Platt(slope=1, intercept=0)


def compared(raw: Floats) -> dict[str, Any]:
    network, file = (parity.answers(scores, SAME) for scores in (RAW, raw))
    return parity.compare(LABELS, PATIENTS, network, file, 0.5, seed=1)


def test_mean_difference_of_raw_scores_is_theirs() -> None:
    labels, patients, raw = (
        np.array([0, 1, 0, 1], np.float32),
        np.array(list("abcd")),
        np.array([0.2, 0.6, 0.4, 0.8]),
    )
    platt = Platt(slope=3, intercept=0.5)
    moved = parity.answers(raw + np.array([0, 0.01, 0.03, 0]), platt)
    found = parity.compare(labels, patients, parity.answers(raw, platt), moved, 0.5, 1)
    assert (found["mean_raw_difference"], found["max_raw_difference"]) == pytest.approx(
        (0.01, 0.03)
    )


def test_same_answers_have_no_difference_and_pass() -> None:
    found = compared(RAW)
    assert [found[name] for name in ("auc_drop", "decision_flips", "mean_difference")] == [0, 0, 0]
    assert parity.failures(found, 0.01) == ()


def test_drop_comes_with_its_paired_interval() -> None:
    found = compared(np.clip(RAW + np.random.default_rng(1).normal(0, 0.3, len(RAW)), 0.01, 0.99))
    low, high = found["auc_drop_interval_95"]
    assert low < found["auc_drop"] < high
    assert any(text.startswith("AUC drop 0.") for text in parity.failures(found, None))


def test_too_many_changed_decisions_fail_with_found_and_expected() -> None:
    raw = RAW.copy()
    near = np.argsort(np.abs(RAW - 0.5))[:10]
    raw[near] = 1 - RAW[near]
    assert "decision flips 0.0500, expected at most 0.02" in parity.failures(compared(raw), 1)


def test_int8_may_change_more_decisions_but_then_it_is_not_the_default() -> None:
    raw = RAW.copy()
    near = np.argsort(np.abs(RAW - 0.5))[:10]
    raw[near] = 1 - RAW[near]
    found = compared(raw)
    assert parity.failures(found, None) == ()
    assert parity.failures(found, 1)[0] == "decision flips 0.0500, expected at most 0.02"
    assert parity.unequal(found, {})[0] == "decision flips 0.0500, expected at most 0.04"


def test_int8_stands_in_for_float_if_it_loses_nothing_in_any_domain() -> None:
    found = compared(RAW)
    assert parity.unequal(found, {"film": 0.004, "digital": -0.02}) == ()
    assert parity.unequal(found, {"film": 0.004, "digital": 0.02}) == (
        "AUC drop on digital 0.0200, expected at most 0.01",
    )
    assert parity.unequal(found, {"digital": float("nan")})


def test_int8_may_move_raw_scores_but_a_float_file_may_not() -> None:
    moved = RAW.copy()
    moved[RAW > 0.7] += 0.04
    found = compared(moved)
    assert parity.failures(found, None) == ()
    assert parity.failures(found, 0.03) == (
        "largest difference from Keras 0.0400, expected at most 0.03",
    )


@pytest.mark.parametrize("name", ["auc_drop", "decision_flips", "max_raw_difference"])
def test_file_that_gives_no_number_fails(name: str) -> None:
    assert parity.failures({**compared(RAW), name: float("nan")}, 0.03)
