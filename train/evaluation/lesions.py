"""The training on pieces, measured: malignant against benign lesions of held-out patients."""

from collections.abc import Mapping
from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray

from train.data.index import SIDES
from train.errors import DataError, TrainError
from train.fitting import batches, crops, network
from train.fitting.crops import Pieces
from train.fitting.finished_run import FinishedRun
from train.recipe import Recipe
from train.run_folder import RunFolder
from train.stats import bootstrap, metrics

NO_LESION: Final[Mapping[str, Any]] = {
    "lesions": 0,
    "malignant": 0,
    "patients": 0,
    "auc": None,
    "intervals_95": {"auc": None},
}


def measure(fitted: FinishedRun, run: RunFolder) -> dict[str, Any] | None:
    """
    Score the lesions of validation and test patients with the network of the first stage.

    Background pieces are left out: finding a lesion is another question. A film that stands in the
    data at two resolutions counts twice, which the intervals, drawn over patients, take into
    account.

    Returns:
        By side (`validation`, `test`) lesions, malignant ones, patients, AUC with its intervals,
        which are None if the outlined lesions are not of both classes; None for a recipe without
        `crops`.

    Raises:
        TrainError: the first stage's weights are not in the run's folder.
    """
    recipe = fitted.recipe
    if recipe.crops is None:
        return None
    model = _network(recipe, run)
    found: dict[str, Any] = {}
    for side in SIDES[1:]:
        try:
            pieces = crops.cut(fitted.side(side), recipe.crops, recipe.seed)
        except DataError:  # the other side may well have some
            found[side] = NO_LESION
            continue
        found[side] = _figures(pieces, _scores(model, pieces, recipe), recipe.seed)
    return found


def summary(found: Mapping[str, Any]) -> str:
    """Write one line for the terminal."""
    on = f"{found['lesions']} lesions of {found['patients']} patients"
    if found["auc"] is None:
        return f"no AUC on {on}, {found['malignant']} malignant"
    low, high = found["intervals_95"]["auc"]
    return f"AUC {found['auc']:.3f} (95 % interval {low:.3f} to {high:.3f}) on {on}"


def _network(recipe: Recipe, run: RunFolder) -> keras.Model:
    weights = run.stage("crops").best
    if not weights.exists():
        msg = (
            f"{weights} is not there: the weights of the training on pieces; run "
            f"`mammo-train fit {recipe.name}` again with --restart"
        )
        raise TrainError(msg)
    model = network.build(recipe.on_crops, "none")
    model.load_weights(weights)
    return model


def _scores(model: keras.Model, pieces: Pieces, recipe: Recipe) -> NDArray[np.float64]:
    small = recipe.on_crops
    data = batches.scoring(pieces.middle(small.input.height), pieces.labels, small)
    return np.asarray(model.predict(data, verbose=0)[network.PROBABILITY], np.float64)[:, 0]


def _figures(pieces: Pieces, scores: NDArray[np.float64], seed: int) -> dict[str, Any]:
    labels, scores, patients = (
        pieces.labels[pieces.lesion],
        scores[pieces.lesion],
        pieces.patients[pieces.lesion],
    )
    ranking = metrics.ranking(labels, scores, bootstrap.draw(labels, patients, seed))
    return {
        "lesions": len(labels),
        "malignant": int(labels.sum()),
        "patients": len(set(patients.tolist())),
        "auc": ranking["auc"],
        "intervals_95": {
            "auc": ranking["intervals_95"].get("auc"),
            "auc_delong": ranking["auc_delong_95"],
        },
    }
