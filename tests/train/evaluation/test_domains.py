"""Film and digital, and normal breasts, on a handful of films whose answer is known."""

import pytest

from edge.models.manifest import OperatingPoint
from tests.support.films_drawn import film, judged
from train.evaluation import domains
from train.reporting import tables
from train.scoring.judge import Judged

POINT = OperatingPoint(threshold=0.5, band_low=0.45, band_high=0.55, chosen_on="nothing")


def mixed() -> Judged:
    """Three films, ranked rightly, and four digital mammograms, two of them normal."""
    known = [
        film(0, malignant=False, domain="film", abnormality="mass"),
        film(1, malignant=False, domain="film", abnormality="mass"),
        film(2, malignant=True, domain="film", abnormality="mass"),
        film(3, malignant=False, domain="digital", abnormality="normal"),
        film(4, malignant=False, domain="digital", abnormality="normal"),
        film(5, malignant=True, domain="digital", abnormality="mass"),
        film(6, malignant=False, domain="digital", abnormality="mass"),
    ]
    return judged(known, [0.1, 0.2, 0.9, 0.3, 0.7, 0.6, 0.5], [False] * 6 + [True])


def test_each_domain_is_measured_by_itself() -> None:
    found = domains.domains(mixed(), POINT, seed=0)
    assert (found["film"]["images"], found["film"]["auc"]) == (3, 1.0)
    digital = found["digital"]
    assert (digital["images"], digital["malignant"], digital["refused"]) == (4, 1, 1)
    assert digital["auc"] == pytest.approx(2 / 3)
    assert digital["decided"] == 0.75


def test_films_of_which_nothing_is_said_are_no_domain() -> None:
    unsaid = judged([film(0, malignant=False), film(1, malignant=True)], [0.2, 0.8])
    assert domains.domains(unsaid, POINT, seed=0) == {}
    assert tables.domains({"domains": {}}).rows == []


def test_domain_of_one_class_is_counted_without_scores() -> None:
    alone = judged([film(0, malignant=False, domain="digital")], [0.2])
    found = domains.domains(alone, POINT, seed=0)
    assert (found["digital"]["images"], "auc" in found["digital"]) == (1, False)


def test_table_says_which_domain_was_not_measured() -> None:
    films = judged(
        [film(0, malignant=False, domain="film"), film(1, malignant=True, domain="film")],
        [0.2, 0.8],
    )
    first, second = tables.domains({"domains": domains.domains(films, POINT, seed=0)}).rows
    assert first[:3] == ("film", "2 (1) of 2", "1.000 (1.000 to 1.000)")
    assert second[:3] == ("digital", "none", "not measured")
    assert len(first) == len(second) == len(tables.domains({}).head)


def test_normal_breasts_are_called_undecided_and_ranked_by_themselves() -> None:
    found = domains.normal(mixed(), POINT, seed=0)
    assert (found["images"], found["patients"], found["refused"]) == (2, 2, 0)
    assert (found["called_malignant"], found["undecided"]) == (0.5, 0.0)
    assert found["mean_score"] == pytest.approx(0.5)
    assert found["against_normal"]["auc"] == pytest.approx(0.75)
    assert found["against_benign"]["auc"] == 1.0
    rows = {row[0]: row[1] for row in tables.normal({"normal": found}).rows}
    assert rows["normal called malignant"].startswith("50.0% (")


def test_without_normal_breasts_there_is_no_section() -> None:
    films = judged([film(0, malignant=False), film(1, malignant=True)], [0.2, 0.8])
    assert domains.normal(films, POINT, seed=0) == {}
    assert tables.normal({"normal": {}}).rows == []
