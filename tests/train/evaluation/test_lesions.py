"""Scores of the first stage, where the outlined lesions do not allow any."""

import numpy as np
import pytest

from train.evaluation import lesions
from train.fitting.crops import Pieces


def pieces(*labels: float) -> Pieces:
    """Lesions of one patient each, and a background piece."""
    count = len(labels) + 1
    shown = np.array([True] * len(labels) + [False])
    return Pieces(
        np.zeros((count, 8, 8), np.float16),
        np.array([*labels, 0], np.float32),
        shown,
        np.arange(count).astype(str),
    )


def test_lesions_of_one_class_have_no_auc_and_the_summary_says_so() -> None:
    found = lesions._figures(pieces(1, 1, 1), np.array([0.2, 0.3, 0.4, 0.1]), 1)
    assert (found["auc"], found["lesions"], found["malignant"]) == (None, 3, 3)
    assert lesions.summary(found) == "no AUC on 3 lesions of 3 patients, 3 malignant"


def test_one_malignant_lesion_has_an_auc_and_no_delong_interval() -> None:
    found = lesions._figures(pieces(1, 0, 0), np.array([0.9, 0.3, 0.4, 0.1]), 1)
    assert found["auc"] == pytest.approx(1)
    assert found["intervals_95"]["auc_delong"] is None
    assert lesions.summary(found).startswith("AUC 1.000 (95 % interval 1.000 to 1.000)")


def test_side_without_any_outlined_lesion_has_no_auc() -> None:
    assert lesions.summary(lesions.NO_LESION) == "no AUC on 0 lesions of 0 patients, 0 malignant"
