"""Card and report show in a red box, and in their tables, what is not better than chance."""

import json
from html import unescape
from pathlib import Path
from typing import Any, Final

import pytest

from train import wording
from train.reporting import model_card, report

RUN: Final = Path(__file__).parents[3] / "docs/runs/default"
BOX: Final = "> [!CAUTION]\n> **Where this model is not better than chance"
SUBTLETY: Final = "subtlety of the plainest lesion (5 = obvious)"
FOUND: Final = {
    "scanner: D": "AUC 0.459, 95 % interval 0.240 to 0.653, 42 images (26 malignant)",
    f"{SUBTLETY}: 1": "AUC 0.652, 95 % interval 0.454 to 0.852, 23 images (17 malignant)",
    f"{SUBTLETY}: 2": "AUC 0.549, 95 % interval 0.396 to 0.689, 78 images (42 malignant)",
}
LINES: Final = [
    f'On "{group}" this model is not shown to be better than chance: {said} of '
    for group, said in FOUND.items()
]
NOTES: Final[dict[str, Any]] = {
    "command": "mammo-train fit one",
    "data": "films",
    "recipe": {
        "name": "one",
        "summary": "A small one",
        "input": {"height": 800, "width": 512},
        "batch_size": 8,
        "seed": 1,
        "phases": [{"name": "head", "epochs": 2, "learning_rate": 1e-3}],
    },
    "split": {
        side: {"images": 20, "malignant": 9, "patients": 11}
        for side in ("train", "validation", "test")
    },
    "refused": [],
    "times": {},
    "versions": {},
}
EXPORTED: Final = {
    "bundle_id": "0" * 64,
    "bytes": 2_992_552,
    "about_data": "Drawn.",
    "agreement": {
        "images": 9,
        "max_difference": 0.1,
        "mean_difference": 0.05,
        "test_auc_change": 0.001,
    },
    "gate": {"test": 0.0},
}


@pytest.fixture
def numbers() -> dict[str, Any]:
    known: dict[str, Any] = json.loads((RUN / "metrics.json").read_text())
    return known


def written(numbers: dict[str, Any]) -> tuple[str, str]:
    """Write the card and the report of these numbers."""
    history = {"epochs": [], "best_epoch": 1}
    return (
        model_card.card(NOTES, history, numbers, EXPORTED),
        report.page(NOTES, history, numbers, EXPORTED, RUN),
    )


def test_one_red_box_lists_every_group_that_reaches_chance(numbers: dict[str, Any]) -> None:
    card, page = written(numbers)
    box = card[card.index(BOX) :].partition("\n\n")[0]
    assert box.count("\n> - ") == len(LINES)
    assert all(f"\n> - {line}" in box for line in LINES)
    assert page.count("<div class=verdict>") == 1
    shown = unescape(page[page.index("<div class=verdict>") :].partition("</div>")[0])
    assert shown.count("<li>") == len(LINES)
    assert all(f"<li>{line}" in shown for line in LINES)
    assert "worse than chance" not in card + page


def test_rows_that_reach_chance_are_marked_where_they_stand(numbers: dict[str, Any]) -> None:
    card, page = written(numbers)
    said = "0.459 (0.240 to 0.653), not shown to be better than chance"
    assert f"| scanner: D | 42 (26) | **{said}** |" in card
    assert f"<tr class=chance><th>scanner: D</th><td>42 (26)</td><td>{said}</td>" in page
    assert page.count("<tr class=chance>") == len(LINES)
    assert "tr.chance" in page


def test_digital_mammograms_and_exams_at_chance_are_marked_too(numbers: dict[str, Any]) -> None:
    at_chance = {"auc": 0.5, "intervals_95": {"auc": [0.4, 0.6]}}
    digital = {**numbers["digital"], **at_chance}
    digital["intervals_95"] = {**numbers["digital"]["intervals_95"], "auc": [0.4, 0.6]}
    name, exam = next(iter(numbers["exams"].items()))
    exams = {name: {**exam, "intervals_95": {**exam["intervals_95"], "auc": [0.4, 0.9]}}}
    card, _ = written({**numbers, "digital": digital, "exams": exams})
    assert "| **0.500 (0.400 to 0.600), not shown to be better than chance** |" in card
    assert "| **0.837 (0.400 to 0.900), not shown to be better than chance** |" in card


def test_model_that_is_better_than_chance_everywhere_has_no_box(numbers: dict[str, Any]) -> None:
    card, page = written({**numbers, "subgroups": {}})
    assert wording.CHANCE not in card + page
    assert "<div class=verdict>" not in page
