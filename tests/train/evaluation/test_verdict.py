"""The verdict: a model that may be no better than chance is said to be so, and only then."""

from typing import Any

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
    names = {"domain": subgroups.DOMAIN, "data_set": subgroups.DATA_SET, "view": "view"}
    return {"test": test, "subgroups": {names[name]: rows for name, rows in groups.items()}}


def test_interval_above_one_half_needs_no_verdict() -> None:
    good = row(0.51, 0.7)
    assert verdict.sentences(measured(good, domain=[{**good, "group": "film"}])) == []


def test_interval_that_holds_one_half_is_said_with_its_figures() -> None:
    (said,) = verdict.sentences(measured(row(0.44, 0.62)))
    assert said == (
        "On the test patients this model may be no better than chance: AUC 0.530, 95 % interval "
        "0.440 to 0.620, 60 mammograms of 40 patients"
    )


def test_interval_below_one_half_is_worse_than_chance() -> None:
    (said,) = verdict.sentences(measured(row(0.2, 0.4)))
    assert "this model is worse than chance" in said


def test_domain_at_chance_is_named_though_all_together_are_not() -> None:
    rows = [row(0.6, 0.8, group="film"), row(0.4, 0.6, group="digital")]
    sites = [row(0.45, 0.7, group="site-b")]
    said = verdict.sentences(measured(row(0.55, 0.75), domain=rows, data_set=sites))
    assert [text.partition(" this model")[0] for text in said] == [
        "On those of digital mammograms",
        "On those of `site-b`",
    ]


def test_other_groups_and_a_handful_of_images_are_not_judged() -> None:
    few = row(0.1, 0.9, group="film", images=30, malignant=5)
    views = [row(0.4, 0.6, group="CC")]
    assert verdict.sentences(measured(row(0.6, 0.8), domain=[few], view=views)) == []


def test_one_class_alone_has_no_verdict() -> None:
    alone = {**row(0.4, 0.6), "auc": None, "intervals_95": {}}
    assert verdict.sentences(measured(alone)) == []
