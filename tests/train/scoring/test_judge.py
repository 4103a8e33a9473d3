"""Groups, breasts, baselines and refusals, on a handful of films whose answer is known."""

from pathlib import Path

import numpy as np
import pytest

from edge.models.manifest import Gate, KnownAnswer, ModelFile, OperatingPoint, Platt
from tests.support.films_drawn import film, judged, prepared
from train.evaluation import baselines, figures, per_breast, subgroups
from train.reporting import tables
from train.scoring.judge import Judged, judge
from train.scoring.score import Scored

POINT = OperatingPoint(threshold=0.5, band_low=0.4, band_high=0.6, chosen_on="nothing")
MODEL = ModelFile(
    quantization="float16",
    calibration=Platt(slope=1, intercept=0),
    operating_points={
        "default": POINT,
        "sensitivity-0.90": OperatingPoint(
            threshold=0.2, band_low=0.2, band_high=0.2, chosen_on="x"
        ),
    },
    gate=Gate(min_breast_fraction=0.1, max_breast_fraction=0.9, min_contrast=0.2),
    known_answers=(KnownAnswer(image="x", raw=0.5),),
    tolerance={"litert": 0.01},
    reference_histogram=(0,) * 20,
)


def views(patient: str, *, malignant: bool, side: str = "LEFT") -> list[dict[str, object]]:
    return [
        {"patient": patient, "malignant": malignant, "laterality": side, "view": view}
        for view in ("CC", "MLO")
    ]


def four_breasts() -> Judged:
    """
    Two benign and two malignant breasts in CC and MLO; the MLO films are ranked the wrong way
    round.
    """
    known = [
        *views("a", malignant=False),
        *views("b", malignant=False),
        *views("c", malignant=True),
        *views("d", malignant=True),
    ]
    films = [film(number, **values) for number, values in enumerate(known)]  # type: ignore[arg-type]
    return judged(films, [0.1, 0.45, 0.2, 0.5, 0.8, 0.4, 0.9, 0.3])


def test_refused_film_has_one_half_and_no_decision() -> None:
    films = [film(number, malignant=number > 1) for number in range(4)]
    seen = prepared(films[1:], np.zeros((3, 4, 4)))
    seen.contrast[1] = 0.1
    found = judge(
        tuple(films),
        Scored(seen, np.array([0.1, 0.9, 0.8]), np.zeros((3, 0, 0), np.float32), None),
        MODEL,
        Path(),
    )
    assert found.refused.tolist() == [True, False, True, False]
    assert found.scores == pytest.approx([0.5, 0.1, 0.5, 0.8])
    assert np.isnan(found.raw).tolist() == [True, False, True, False]
    assert found.decided(POINT).tolist() == [False, True, False, True]


def test_every_operating_point_and_one_half_are_measured_at_their_own_threshold() -> None:
    found = figures.figures(four_breasts(), MODEL, "default", 0)
    points = found["operating_points"]
    assert set(points) == {"default", "sensitivity-0.90", "one-half"}
    assert points["default"]["sensitivity"] == 0.5
    assert points["sensitivity-0.90"]["sensitivity"] == 1
    assert points["sensitivity-0.90"]["specificity"] == 0.25
    assert len(tables.operating_points(found).head) == 4


def test_decided_films_are_those_outside_the_band() -> None:
    found = figures.figures(four_breasts(), MODEL, "default", 0)["decision"]
    assert (found["images"], found["decided"]) == (8, 5)
    assert found["sensitivity"] == pytest.approx(2 / 3)
    assert found["specificity"] == 1


def test_refused_films_are_not_in_the_curve_of_coverage_and_risk() -> None:
    films = [film(number, malignant=number % 2 == 1) for number in range(10)]
    found = judged(
        films, [0.05, 0.9, 0.1, 0.8, 0.15, 0.85, 0.5, 0.5, 0.5, 0.5], [False] * 6 + [True] * 4
    )
    curve = figures.figures(found, MODEL, "default", 0)["coverage_risk"]["test"]
    assert (curve[0]["coverage"], curve[0]["risk"]) == (0.6, 0)


def test_groups_show_where_a_score_fails_and_at_which_level() -> None:
    films = four_breasts()
    rows = subgroups.tables(films, subgroups.groupings(films.films, [None] * 8), 0.5, 0)
    cc, mlo = rows["view"]
    assert (cc["group"], cc["auc"], mlo["auc"]) == ("CC", 1, 0)
    assert cc["mean_score"] == pytest.approx(0.5)
    assert (mlo["mean_score_benign"], mlo["mean_score_malignant"]) == pytest.approx((0.475, 0.35))
    assert list(rows) == ["view"]


def test_group_of_one_class_has_no_auc() -> None:
    films = judged(
        [film(number, malignant=number < 3, density=1 + number // 2) for number in range(4)],
        [0.1, 0.2, 0.3, 0.4],
    )
    first, second = subgroups.tables(films, subgroups.groupings(films.films, [None] * 4), 0.5, 0)[
        "breast density"
    ]
    assert (first["auc"], second["auc"]) == (None, 0)
    assert first["malignant"] == first["images"] == 2


def test_brightness_thirds_are_those_of_the_training_films() -> None:
    training = np.arange(9, dtype=np.float32)
    assert subgroups.brightness(training, np.array([0, 4, 100], np.float32)) == [
        "dark",
        "medium",
        "bright",
    ]


def test_views_of_a_breast_are_averaged() -> None:
    found = per_breast.tables(four_breasts(), 0.5, 0)
    assert found["breasts with several views"]["images"] == 4
    assert found["breasts with several views"]["auc"] == 1
    assert found["the films of the latter, one by one"]["images"] == 8
    assert found["the films of the latter, one by one"]["auc"] == pytest.approx(12 / 16)


def test_view_that_stands_in_the_data_twice_counts_once() -> None:
    """CC 0.2 and 0.4, MLO 0.9: the mean of the views is 0.6, that of the films 0.5."""
    cc = [film(number, malignant=True, patient="a", laterality="L", view="CC") for number in (0, 1)]
    films = [
        *cc,
        film(2, malignant=True, patient="a", laterality="L", view="MLO"),
        film(3, malignant=False, laterality="L", view="CC"),
    ]
    found = per_breast.tables(judged(films, [0.2, 0.4, 0.9, 0.55]), 0.5, 0)
    assert found["all breasts"]["auc"] == 1
    assert "breasts with several views" not in found


def test_two_breasts_of_a_woman_are_two() -> None:
    films = [
        film(0, malignant=True, patient="a", laterality="LEFT"),
        film(1, malignant=False, patient="a", laterality="RIGHT"),
    ]
    assert per_breast.tables(judged(films, [0.9, 0.1]), 0.5, 0)["all breasts"]["images"] == 2


def test_without_sides_there_are_no_breasts() -> None:
    assert (
        per_breast.tables(
            judged([film(0, malignant=True), film(1, malignant=False)], [0.9, 0.1]), 0.5, 0
        )
        == {}
    )


def test_birads_is_the_highest_of_the_lesions_and_0_lies_between_2_and_3() -> None:
    grades = [(2,), (0,), (3, 2), (5,), (4, 1), ()]
    films = [
        film(number, malignant=number > 2, birads=grade) for number, grade in enumerate(grades)
    ]
    assert baselines.grades(films).tolist() == [2, 2.5, 3, 5, 4]
    found = baselines.birads(films, np.array([0.1, 0.2, 0.3, 0.4, 0.05, 0.9]), 0)
    assert (found["images"], found["incomplete"]) == (5, 1)
    assert found["radiologist"]["auc"] == 1
    assert found["model"]["auc"] == pytest.approx(3 / 6)


def test_birads_that_nobody_gave_is_left_out() -> None:
    assert (
        baselines.birads(
            [film(0, malignant=True), film(1, malignant=False)], np.array([0.9, 0.1]), 0
        )
        == {}
    )


def test_shortcut_in_the_picture_is_found() -> None:
    """
    Malignant films are brighter in a corner: a thumbnail tells them apart, and so does the linear
    probe on thumbnails.
    """
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 0.5, (120, 32, 32))
    labels = np.arange(120) % 2 == 1
    images[labels, :8, :8] += 0.3
    films = [film(number, malignant=bool(label)) for number, label in enumerate(labels)]
    learn, check = prepared(films[:80], images[:80]), prepared(films[80:], images[80:])
    assert baselines.shortcuts(learn, check, 0)["thumbnail"]["auc"] > 0.95
    found = baselines.permutation(learn, check, None, 0)
    assert found["auc_true_labels"] > 0.95
    assert found["p"] < 0.05


def test_shuffled_labels_score_at_chance() -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 200)
    features = generator.normal(size=(200, 10)) + labels[:, None]
    films = [film(number, malignant=bool(label)) for number, label in enumerate(labels)]
    learn, check = (
        prepared(films[:140], np.zeros((140, 4, 4))),
        prepared(films[140:], np.zeros((60, 4, 4))),
    )
    found = baselines.permutation(learn, check, (features[:140], features[140:]), 0)
    assert found["auc_true_labels"] > 0.9
    assert found["auc_mean"] == pytest.approx(0.5, abs=0.05)
    assert found["auc_95"][0] < 0.5 < found["auc_95"][1]


def test_shuffling_gives_all_films_of_a_patient_one_label() -> None:
    patients = np.array([f"p{number // 2}" for number in range(40)])
    malignant = (np.arange(40) // 2 % 2).astype(np.float32)
    labels = baselines.shuffled(malignant, patients, 0)
    assert np.array_equal(labels[::2], labels[1::2])
    assert (labels.sum(axis=0) == 20).all()
    assert labels.std(axis=1).min() > 0
