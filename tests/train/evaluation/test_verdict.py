"""The verdict: a group that may be no better than chance is said to be so, and only then."""

from typing import Any

import pytest

from train.evaluation import subgroups, verdict


def row(low: float, high: float, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any figure
    return {
        "images": 60,
        "malignant": 30,
        "patients": 40,
        "auc": (low + high) / 2,
        "intervals_95": {"auc": [low, high]},
        **more,
    }


def measured(test: dict[str, Any], **groups: list[dict[str, Any]]) -> dict[str, Any]:
    names = {"domain": subgroups.DOMAIN, "data_set": subgroups.DATA_SET}
    return {
        "test": test,
        "subgroups": {names.get(name, name): rows for name, rows in groups.items()},
    }


def test_interval_above_one_half_needs_no_verdict() -> None:
    good = row(0.51, 0.7)
    assert verdict.sentences(measured(good, domain=[{**good, "group": "film"}])) == []


def test_interval_that_holds_one_half_is_said_with_its_figures() -> None:
    (said,) = verdict.sentences(measured(row(0.44, 0.62)))
    assert said == (
        "On the test patients this model is not shown to be better than chance: AUC 0.530, "
        "95 % interval 0.440 to 0.620, 60 images (30 malignant) of 40 patients"
    )


def test_interval_that_touches_one_half_shows_nothing() -> None:
    assert verdict.mark(row(0.5, 0.7)) == verdict.NOT_SHOWN


def test_interval_below_one_half_is_worse_than_chance() -> None:
    (said,) = verdict.sentences(measured(row(0.2, 0.4)))
    assert "this model is worse than chance" in said


@pytest.mark.parametrize("malignant", [5, 25])
def test_few_images_of_a_class_are_never_worse_than_chance(malignant: int) -> None:
    few = row(0.1, 0.3, group="D", images=30, malignant=malignant)
    (said,) = verdict.sentences(measured(row(0.6, 0.8), scanner=[few]))
    assert said.startswith('On "scanner: D" this model is not shown to be better than chance')
    assert said.endswith("; fewer than 10 of a class, which says little either way")


def test_every_group_at_chance_is_named_though_all_together_are_not() -> None:
    good = {**row(0.6, 0.8), "group": "A"}
    said = verdict.sentences(
        measured(
            row(0.55, 0.75),
            domain=[row(0.4, 0.6, group="digital"), {**good, "group": "film"}],
            data_set=[row(0.45, 0.7, group="site-b")],
            scanner=[good, row(0.24, 0.65, group="D")],
            density=[good, row(0.4, 0.6, group="4")],
        )
    )
    assert [text.partition(" this model")[0] for text in said] == [
        f'On "{subgroups.DOMAIN}: digital"',
        f'On "{subgroups.DATA_SET}: site-b"',
        'On "scanner: D"',
        'On "density: 4"',
    ]


def test_breasts_exams_and_digital_mammograms_are_judged_like_groups() -> None:
    ranking = {"auc": 0.5, "intervals_95": {"auc": [0.3, 0.7]}}
    found = {
        **measured(row(0.6, 0.8)),
        "exams": {"film: exams": row(0.4, 0.6)},
        "breasts": {"all breasts": row(0.45, 0.6)},
        "normal": {"against_normal": ranking, "against_benign": row(0.6, 0.7)},
        "digital": {"data": "one", **row(0.6, 0.8), "normal": {"against_normal": ranking}},
    }
    said = verdict.sentences(found)
    assert [text.partition(" this model")[0] for text in said] == [
        'On "film: exams"',
        'On "all breasts"',
        "On the test patients, malignant against normal",
        "On the digital mammograms of one, malignant against normal",
    ]
    assert said[-1].endswith("AUC 0.500, 95 % interval 0.300 to 0.700")


def test_figure_without_an_interval_shows_nothing_either() -> None:
    bare = row(0.7, 0.7, group="C", intervals_95={"auc": None})
    (said,) = verdict.sentences(measured(row(0.6, 0.8), scanner=[bare]))
    assert "not shown to be better than chance: AUC 0.700, without an interval" in said


def test_one_class_alone_has_no_verdict() -> None:
    alone = {**row(0.4, 0.6), "auc": None, "intervals_95": {}}
    assert verdict.sentences(measured(alone)) == []


def test_digital_mammograms_of_one_class_have_no_verdict() -> None:
    alone = {"data": "one", "images": 9, "malignant": 0, "patients": 9, "normal": {}}
    assert verdict.sentences({**measured(row(0.6, 0.8)), "digital": alone}) == []
