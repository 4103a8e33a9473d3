"""`mammo-train evaluate`: score the held-out test patients, in numbers and pictures."""

from typing import Any

from train import calibrate, metrics, plots
from train.datasets import Sources
from train.fitted import Fitted, reopen
from train.loop import probabilities
from train.progress import say
from train.run_folder import RunFolder, read_json, write_json


def evaluate(run: RunFolder, data: Sources | None) -> None:
    """
    Measure Keras's network on the test patients; write RUN/evaluation/metrics.json and four pictures.

    Calibration and threshold are fitted on the validation patients, and only applied to the test patients.

    Args:
        run: the folder `fit` wrote.
        data: where the data set is now; None: where it was.
    """
    fitted = reopen(run, data)
    history = read_json(run.history, "fit RECIPE --data DATA --out RUN")
    numbers, labels, scores = _measure(fitted)
    run.evaluation.mkdir(parents=True, exist_ok=True)
    plots.roc_curve(run.evaluation / "roc.png", labels, scores, numbers)
    plots.confusion_matrix(run.evaluation / "confusion.png", numbers)
    plots.score_histogram(run.evaluation / "scores.png", labels, scores, numbers["threshold"])
    plots.training_curves(run.evaluation / "training.png", history)
    write_json(run.metrics, numbers)
    low, high = numbers["intervals_95"]["auc"]
    say(f"AUC {numbers['auc']:.3f} (95 % interval {low:.3f} to {high:.3f}), accuracy {numbers['accuracy']:.3f}: {run.metrics}")


def _measure(fitted: Fitted) -> tuple[dict[str, Any], metrics.Labels, metrics.Floats]:
    recipe = fitted.recipe
    validation, test = fitted.side("validation"), fitted.side("test")
    raw = probabilities(fitted.model, validation, recipe)
    platt = calibrate.platt(validation.labels, raw)
    scores = calibrate.calibrated(raw, platt)
    point = calibrate.operating_point(validation.labels, scores, recipe.sensitivity, recipe.undecided, "validation patients")
    held_out = calibrate.calibrated(probabilities(fitted.model, test, recipe), platt)
    numbers = metrics.measure(test.labels, held_out, test.patients, point.threshold, recipe.seed)
    # Beside the operating point, which wants few misses, the usual cut at one half.
    numbers["at_one_half"] = {
        **metrics.rates(test.labels, held_out >= metrics.ONE_HALF),
        "confusion": metrics.confusion(test.labels, held_out >= metrics.ONE_HALF),
    }
    return numbers, test.labels, held_out
