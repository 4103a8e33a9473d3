"""Every picture of an evaluation says by itself what it is of, in its title and on its axes."""

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pytest

from tests.support.films_drawn import film, judged
from train.evaluation.plots import calls, curves, training_curves

ROOT: Final = Path(__file__).parents[3]
RUN: Final = ROOT / "docs/runs/default"
NOTES: Final[dict[str, Any]] = {
    "recipe": {
        "name": "one",
        "batch_size": 8,
        "dense": {"steps": 300, "height": 448, "width": 320},
    },
    "split": {"train": {"images": 20, "malignant": 9, "patients": 11}},
}
FILMS: Final = judged(
    [film(number, malignant=number % 2 > 0, birads=(number % 5 + 1,)) for number in range(40)],
    np.linspace(0.1, 0.9, 40).tolist(),
)
DRAWN: Final = {
    "roc": lambda path, numbers: curves.roc_curve(path, FILMS, numbers),
    "precision-recall": lambda path, numbers: curves.precision_recall(path, FILMS, numbers),
    "reliability": curves.reliability,
    "coverage-risk": curves.coverage_risk,
    "scores": lambda path, numbers: calls.score_histogram(path, FILMS, numbers),
    "confusion": calls.confusion_matrices,
    "subgroups": calls.subgroups,
}
"""The pictures of scores; each is drawn to a path from the numbers of an evaluation."""
AXES: Final = {
    "roc": "sensitivity (share of malignant films called so)",
    "precision-recall": "recall (share of malignant films called so)",
    "reliability": "share of these films that are malignant",
    "coverage-risk": "share of films decided",
    "scores": "number of films",
    "confusion": "number of films by truth and call",
    "subgroups": "AUC (area under the ROC curve)",
}


@pytest.fixture
def numbers() -> dict[str, Any]:
    """The numbers of the shipped model, with the names of its data."""
    known: dict[str, Any] = json.loads((RUN / "metrics.json").read_text())
    return {**known, "data": {**known["data"], "sources": ["cbis-ddsm/mass-800", "full-299"]}}


@pytest.fixture(autouse=True)
def text_as_text() -> Any:  # noqa: ANN401 - a generator
    """Pictures drawn as SVG keep their words, so that they can be read."""
    with mpl.rc_context({"svg.fonttype": "none"}):
        yield


@pytest.mark.parametrize("name", DRAWN)
def test_picture_says_whose_films_which_file_and_what_its_axis_counts(
    name: str, numbers: dict[str, Any], tmp_path: Path
) -> None:
    DRAWN[name](tmp_path / "drawn.svg", numbers)
    words = (tmp_path / "drawn.svg").read_text()
    assert "672 test films of 231 patients: cbis-ddsm/mass-800, full-299" in words
    assert "model_int8.tflite of mammo-default 2.3.0" in words
    assert AXES[name] in words


@pytest.mark.parametrize("name", ["roc", "confusion", "scores"])
def test_picture_with_a_threshold_says_which(
    name: str, numbers: dict[str, Any], tmp_path: Path
) -> None:
    DRAWN[name](tmp_path / "drawn.svg", numbers)
    assert "malignant from 0.262" in (tmp_path / "drawn.svg").read_text()


def test_picture_of_numbers_that_name_no_data_has_its_title(
    numbers: dict[str, Any], tmp_path: Path
) -> None:
    calls.confusion_matrices(tmp_path / "drawn.svg", {**numbers, "data": {}})
    assert "672 test films of 231 patients; model_int8" in (tmp_path / "drawn.svg").read_text()


def test_training_by_steps_says_what_each_loss_is_of(tmp_path: Path) -> None:
    training_curves(tmp_path / "drawn.svg", json.loads((RUN / "history.json").read_text()), NOTES)
    words = (tmp_path / "drawn.svg").read_text()
    for said in (
        "Training of the recipe one",
        "300 steps of 8 pieces, 448 x 320 pixels, cut out of 20 training films of 11 patients",
        "sum of the three parts",
        "lesion: which cells show any lesion",
        "malignant: which cells show a malignant one",
        "piece: is the whole piece malignant",
        "mean loss on training pieces, nats",
    ):
        assert said in words


def test_training_by_epochs_says_what_it_is_of(tmp_path: Path) -> None:
    epochs = [
        {"epoch": number, "phase": "head", "loss": 0.7, "auc": 0.6, "val_loss": 0.7, "val_auc": 0.6}
        for number in (1, 2)
    ]
    by_epoch = {**NOTES, "recipe": {"name": "two"}}
    training_curves(tmp_path / "drawn.svg", {"epochs": epochs, "best_epoch": 2}, by_epoch)
    words = (tmp_path / "drawn.svg").read_text()
    assert "Training of the recipe two" in words
    assert "20 training films of 11 patients" in words
    assert "loss (cross-entropy), nats" in words
