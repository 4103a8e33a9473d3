"""What the model card and the report say of the data is what the data say."""

from typing import Any

import numpy as np
import pytest

from tests.support.films_drawn import film, judged
from train.data.datasets import Film, Side
from train.evaluation import baselines, evaluate, subgroups
from train.reporting import model_card, tables

NOTES: dict[str, Any] = {
    "split": {"train": {"images": 2}, "validation": {"images": 2}, "test": {"images": 2}}
}


def sides(**known: Any) -> dict[Side, tuple[Film, ...]]:  # noqa: ANN401 - any of Film's fields
    """Two films a side."""
    pair = film(0, malignant=False, **known), film(1, malignant=True, **known)
    return {"train": pair, "validation": pair, "test": pair}


@pytest.mark.parametrize(
    ("split", "note", "on"),
    [
        (None, "patients whom its own split held out", "held-out patients"),
        (
            "test",
            "test patients that the data set itself names",
            "test patients that the data name",
        ),
    ],
)
def test_test_patients_that_the_data_name_are_not_called_held_out(
    split: Side | None, note: str, on: str
) -> None:
    measured: dict[str, Any] = {
        "data": evaluate.about(sides(split=split)),
        "birads": {},
        "subgroups": {},
        "breasts": {},
    }
    measured["test"] = {"images": 2, "auc": 0.5, "intervals_95": {}}
    assert note in model_card.anchors_note(measured)
    assert tables.anchors(measured).rows[-1] == (
        "**this model**, whole image, single film",
        on,
        "AUC 0.500",
    )


@pytest.mark.parametrize(
    ("abnormality", "said"),
    [
        ("mass", "No normal mammogram was in training"),
        ("normal", "6 of the 6 mammograms are normal and count as benign"),
        (None, "The data do not say what 6 of the 6 mammograms show"),
    ],
)
def test_card_counts_normal_mammograms_where_the_data_tell_them(
    abnormality: str | None, said: str
) -> None:
    assert said in model_card.classes(
        NOTES, {"data": evaluate.about(sides(abnormality=abnormality))}
    )


def test_card_points_to_the_normal_digital_mammograms_that_were_measured() -> None:
    measured = {"data": evaluate.about(sides(abnormality="mass"))}
    assert model_card.classes(NOTES, measured).endswith("is untested.")
    known = {**measured, "digital": {"data": "one, two", "normal": {"images": 3}}}
    assert model_card.classes(NOTES, known).endswith('is said only under "Digital mammograms".')
    assert model_card.digital_note(known).startswith("one, two: no weight was learnt")


def test_evaluation_without_these_facts_claims_nothing() -> None:
    assert "The data do not say what 6 of the 6" in model_card.classes(NOTES, {})
    assert "held out" in model_card.anchors_note({})


def test_radiologist_on_some_of_the_films_is_said_so() -> None:
    films = [
        film(number, malignant=number > 1, birads=() if number > 3 else (2 + number,))
        for number in range(6)
    ]
    scores = [0.1, 0.2, 0.8, 0.9, 0.5, 0.5]
    measured = {
        "subgroups": {},
        "breasts": {},
        "test": {"images": 6, "auc": 0.5, "intervals_95": {}},
    }
    rows = tables.anchors({**measured, "birads": baselines.birads(films, np.array(scores), 0)}).rows
    assert rows[-1][0] == "radiologist's own BI-RADS on those 4 films that have one"


def test_groups_by_data_set_are_those_that_were_pooled_and_not_folders() -> None:
    pooled = [
        film(number, malignant=number % 2 > 0, source="one" if number < 2 else "other")
        for number in range(4)
    ]
    scores = [0.1, 0.9, 0.2, 0.8]
    found = subgroups.tables(
        judged(pooled, scores), subgroups.groupings(pooled, [None] * 4), 0.5, 0
    )
    assert [row["group"] for row in found[subgroups.DATA_SET]] == ["one", "other"]
    folders = list(sides()["test"])
    assert subgroups.groupings(folders, [None] * 2)[subgroups.DATA_SET] == [None, None]
