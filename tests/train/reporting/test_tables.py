"""Tables of a training and of screening, from figures that are known."""

from typing import Any

from train.reporting import tables

STEPS = [
    {
        "epoch": number * 100,
        "phase": "dense",
        "seconds": 9.0,
        "loss": 3.0 / number,
        "lesion": 1.5 / number,
        "malignant": 1.0 / number,
        "piece": 0.5 / number,
    }
    for number in (1, 2, 3)
]
EPOCHS = [
    {"epoch": number, "phase": "head", "loss": 0.7, "auc": 0.6, "val_loss": 0.7, "val_auc": 0.6}
    for number in (1, 2)
]
NOTES: dict[str, Any] = {"times": {"train_s": 12.0}, "versions": {"python": "3.11"}}
DENSE = {
    "steps": 300,
    "height": 448,
    "width": 320,
    "learning_rate": 1e-4,
    "head_learning_rate": 7e-4,
}
PHASE = {"name": "head", "epochs": 2, "learning_rate": 1e-3}


def test_dense_training_is_told_by_its_steps_and_losses() -> None:
    recipe = {"seed": 1, "batch_size": 8, "phases": [], "dense": DENSE}
    history = {"epochs": STEPS, "averages": {"map": 1.0, "train_auc": 0.81, "val_auc": 0.77}}
    rows = {row[0]: row[1] for row in tables.training({**NOTES, "recipe": recipe}, history).rows}
    assert rows["training"] == "300 steps of 8 pieces, 448 x 320 pixels"
    assert rows["kept"] == "the moving average of the weights after the last step"
    assert rows["loss of the first and the last steps"].startswith("3.000 (lesion 1.500, ")
    assert "0.770 on validation films" in rows["AUC with the averages beside the map"]
    assert not {"phases", "kept epoch"} & set(rows)


def test_training_by_epochs_is_told_by_its_phases() -> None:
    recipe = {"seed": 1, "batch_size": 8, "phases": [PHASE], "dense": None}
    history = {"epochs": EPOCHS, "best_epoch": 2}
    rows = {row[0]: row[1] for row in tables.training({**NOTES, "recipe": recipe}, history).rows}
    assert rows["phases"] == "head 2 epochs at 0.001"
    assert rows["kept epoch"] == "2 of 2, by validation AUC"


def point(sensitivity: float | None, specificity: float | None) -> dict[str, Any]:
    return {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "at_screening_prevalence": {
            "prevalence": 0.0059,
            "precision": 0.0265,
            "negative_predictive_value": 0.9991,
            "intervals_95": {"precision": [0.02, 0.03], "negative_predictive_value": None},
        },
    }


def test_screening_is_counted_among_ten_thousand_women() -> None:
    points = {"default": point(0.9, 0.8), "unknown": point(None, 0.8)}
    rows = {row[0]: row[1:] for row in tables.in_screening({"operating_points": points}).rows}
    assert rows["called malignant, of 10,000"] == ("2,041", "-")
    assert rows["cancers among those"] == ("53", "-")
    assert rows["cancers missed"] == ("6", "-")
    positive = rows["called malignant, and rightly (positive predictive value)"]
    assert positive[0] == "0.0265 (0.0200 to 0.0300)"
