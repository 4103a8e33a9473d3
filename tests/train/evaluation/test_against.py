"""Two models on the same films: the difference, and how sure it is."""

import numpy as np
import pytest

from tests.support.films_drawn import film, judged
from train.evaluation import against
from train.reporting import model_card, tables
from train.scoring.judge import Judged


def films(noise: float, domain: str | None = None) -> Judged:
    """Two hundred films of a hundred patients, scored by their label and noise."""
    generator = np.random.default_rng(0)
    known = [
        film(number, malignant=bool(number % 2), patient=f"p{number // 2}", domain=domain)
        for number in range(200)
    ]
    labels = np.arange(200) % 2
    scores = 1 / (1 + np.exp(-(labels - 0.5) - noise * generator.normal(size=200)))
    return judged(known, scores.tolist())


def test_the_same_scores_differ_by_nothing_and_surely() -> None:
    seen = films(1.0)
    (row,) = against.compare(seen, seen.scores, seed=0)
    assert row["difference"] == 0
    assert row["intervals_95"]["difference"] == [0, 0]
    assert (row["group"], row["images"], row["malignant"], row["patients"]) == (
        "all",
        200,
        100,
        100,
    )


def test_paired_interval_is_narrower_than_that_of_either_model() -> None:
    seen = films(1.0)
    other = np.clip(seen.scores + np.random.default_rng(1).normal(0, 0.02, 200), 0, 1)
    (row,) = against.compare(seen, other, seed=0)
    low, high = row["intervals_95"]["difference"]
    assert low < row["difference"] < high
    assert high - low < 0.05
    assert row["difference"] == pytest.approx(row["auc"] - row["auc_other"])


def test_better_model_is_better_by_its_interval() -> None:
    seen = films(0.3)
    (row,) = against.compare(seen, np.random.default_rng(2).uniform(size=200), seed=0)
    assert row["intervals_95"]["difference"][0] > 0


def test_domains_are_compared_where_the_data_name_them() -> None:
    seen = films(1.0, "digital")
    assert [row["group"] for row in against.compare(seen, seen.scores, seed=0)] == [
        "all",
        "digital",
    ]


def test_table_names_the_other_bundle_and_signs_the_difference() -> None:
    seen = films(1.0)
    measured = {
        "against": {
            "bundle": {"name": "mammo-default", "version": "1.1.0"},
            "same_split": False,
            "groups": against.compare(seen, 1 - seen.scores, seed=0),
        }
    }
    table = tables.against(measured)
    assert "mammo-default 1.1.0" in table.head
    assert table.rows[0][4].startswith("+0.")
    assert "may have learnt from some of these films" in model_card.against_note(measured)
    assert "may have learnt" not in model_card.against_note({})
    assert tables.against({}).rows == []
