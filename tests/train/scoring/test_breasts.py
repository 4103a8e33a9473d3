"""The calibration of breasts, on films whose answer is known, and its numbers in `evaluate`."""

from dataclasses import replace

import numpy as np
import pytest

from edge.domain import Domain
from edge.models.breasts import PROJECTIONS, breasts_of
from edge.models.manifest import DomainFit, ModelFile, OperatingPoint
from tests.support.films_drawn import film
from tests.train.scoring.test_judge import MODEL
from train.data.index import Film
from train.evaluation import per_exam
from train.reporting import tables
from train.scoring import calibration
from train.scoring.breasts import fits, pairs, view_of
from train.scoring.judge import Judged
from train.stats import metrics
from train.stats.metrics import Floats

WOMEN = 80


def women(view: str = "MLO") -> tuple[list[Film], Floats]:
    """Give every woman the CC of one breast and a second view, all of them scanned films."""
    generator = np.random.default_rng(3)
    films, raw = [], []
    for number in range(2 * WOMEN):
        malignant = number // 2 % 2 == 1
        films.append(
            film(
                number,
                malignant=malignant,
                patient=f"p{number // 2}",
                laterality="LEFT",
                view=("CC", view)[number % 2],
                domain="film",
            )
        )
        raw.append(generator.beta(3, 2) if malignant else generator.beta(2, 3))
    return films, np.array(raw)


def fitted(films: list[Film], raw: Floats) -> dict[Domain, DomainFit]:
    domains = np.array([film.domain for film in films])
    return fits(films, raw, domains, 0.9, 0.15, "some patients")


def with_breasts(films: list[Film], raw: Floats) -> ModelFile:
    points = fitted(films, raw)
    return MODEL.model_copy(update={"breasts": points})


def judged(films: list[Film], raw: Floats, refused: frozenset[int] = frozenset()) -> Judged:
    shut = np.array([number in refused for number in range(len(films))])
    scores = np.where(shut, 0.5, calibration.calibrated(raw, MODEL.calibration))
    return Judged(tuple(films), np.where(shut, np.nan, raw), scores, shut)


def test_breasts_are_calibrated_on_the_mean_logit_of_both_views() -> None:
    films, raw = women()
    fit = fitted(films, raw)["film"]
    logits = np.log(raw / (1 - raw)).reshape(-1, len(PROJECTIONS)).mean(axis=1)
    labels = np.array([film.malignant for film in films[::2]], np.float32)
    expected = calibration.platt(labels, 1 / (1 + np.exp(-logits)))
    assert fit.calibration.slope == pytest.approx(expected.slope)
    assert fit.calibration.intercept == pytest.approx(expected.intercept)
    assert fit.calibration.prevalence == 0.5
    assert "on 80 breasts (40 malignant)" in fit.operating_points["default"].chosen_on


@pytest.mark.parametrize("view", ["CC", "XCCL"])
def test_breasts_of_which_a_view_is_missing_calibrate_nothing(view: str) -> None:
    films, raw = women(view)
    assert not pairs(films)
    assert fitted(films, raw) == {}


def test_too_few_breasts_of_a_class_calibrate_nothing() -> None:
    films, raw = women()
    assert fitted(films[:118], raw[:118]) == {}  # 30 benign breasts, 29 malignant ones
    assert set(fitted(films[:120], raw[:120])) == {"film"}


def test_a_breast_is_malignant_if_one_of_its_views_is() -> None:
    films, raw = women()
    half = [
        film(
            number,
            malignant=bool(one.malignant and number % 2),
            patient=one.patient,
            laterality="LEFT",
            view=one.view,
            domain="film",
        )
        for number, one in enumerate(films)
    ]
    assert fitted(half, raw) == fitted(films, raw)


def test_evaluate_gives_the_scores_that_the_daemon_would_give() -> None:
    films, raw = women()
    model = with_breasts(films, raw)
    found = per_exam.tables(judged(films, raw), model, "default", 0)
    views = [view_of(one, float(score), "film") for one, score in zip(films, raw, strict=True)]
    daemon = [
        breasts_of(pair, model)[0].malignant for pair in zip(views[::2], views[1::2], strict=True)
    ]
    labels = np.array([one.malignant for one in films[::2]], np.float32)
    both, exams = found["film: breasts with CC and MLO"], found["film: exams"]
    assert both["auc"] == exams["auc"] == metrics.auc(labels, np.array(daemon))
    assert both["images"] == exams["images"] == WOMEN
    assert found["film: their films, one by one"]["images"] == 2 * WOMEN


def test_a_refused_film_is_a_missing_view() -> None:
    films, raw = women()
    found = per_exam.tables(
        judged(films, raw, frozenset({0, 2, 3})), with_breasts(films, raw), "default", 0
    )
    assert found["film: breasts with CC and MLO"]["images"] == WOMEN - 2
    assert found["film: exams"]["images"] == WOMEN - 1


def test_an_exam_is_called_at_the_threshold_of_its_highest_breast() -> None:
    """A breast with one view is calibrated, and cut, as single images are."""
    films, raw = women()
    model = with_breasts(films, raw)
    refused = frozenset(range(1, len(films) - 20, 2))  # MLO of all women but the last ten
    found = per_exam.tables(judged(films, raw, refused), model, "default", 0)["film: exams"]
    breasts = [
        breasts_of(
            [
                view_of(films[number], float(raw[number]), "film")
                for number in (first, first + 1)
                if number not in refused
            ],
            model,
        )[0]
        for first in range(0, len(films), 2)
    ]
    single, both = breasts[0].fit, breasts[-1].fit
    assert (
        single.operating_points["default"].threshold != both.operating_points["default"].threshold
    )
    called = [one.malignant >= one.fit.operating_points["default"].threshold for one in breasts]
    truth = [one.malignant for one in films[::2]]
    hits = sum(call and bool(true) for call, true in zip(called, truth, strict=True))
    assert found["confusion"]["true_positive"] == hits
    assert sum(found["confusion"].values()) == len(breasts)
    assert found["threshold"] is None


def test_an_exam_is_called_if_one_of_its_breasts_is_as_the_daemon_says() -> None:
    """The higher breast has one view and is not over its threshold, the lower has both and is."""
    films, raw = women()
    sides = [*films, *(replace(one, laterality="RIGHT") for one in films)]
    scores = np.concatenate([np.clip(raw + 0.1, 0, 0.99), raw])
    strict = OperatingPoint(threshold=0.99, band_low=0.99, band_high=0.99, chosen_on="x")
    model = with_breasts(films, raw).model_copy(update={"operating_points": {"default": strict}})
    missing = frozenset(range(1, len(films), 2))
    found = per_exam.tables(judged(sides, scores, missing), model, "default", 0)["film: exams"]
    called, highest = [], []
    for first in range(0, len(films), 2):
        places = (first, first + len(films), first + len(films) + 1)
        breasts = breasts_of(
            [view_of(sides[number], float(scores[number]), "film") for number in places], model
        )
        over = [one.malignant >= one.fit.operating_points["default"].threshold for one in breasts]
        called.append(any(over))
        highest.append(over[max(range(2), key=lambda side: breasts[side].malignant)])
    assert called != highest
    confusion = found["confusion"]
    assert confusion["true_positive"] + confusion["false_positive"] == sum(called)


def test_a_bundle_that_calibrates_no_breasts_has_no_exams() -> None:
    films, raw = women()
    assert per_exam.tables(judged(films, raw), MODEL, "default", 0) == {}
    assert tables.exams({}).rows == []


def test_the_card_lists_films_breasts_and_exams() -> None:
    films, raw = women()
    found = per_exam.tables(judged(films, raw), with_breasts(films, raw), "default", 0)
    text = tables.exams({"exams": found}).markdown()
    assert "| film: exams | 80 (40) of 80 |" in text
