"""The head as a logistic regression on averaged features: with a thousand films it forgets less than gradient steps do."""

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from train import batches, metrics, network
from train.films import Prepared
from train.progress import say
from train.recipe import Recipe


def fit(model: keras.Model, learn: Prepared, check: Prepared, recipe: Recipe) -> dict[str, Any]:
    """
    Fit the last layer on the averaged features of the films, and write it into the network.

    The features are standardised for the fit, and the scale is folded into the weights: the map stays linear in the features and
    its mean is the logit.

    Args:
        model: as `network.build` gives it for a head without channels of its own and with average pooling.
        learn: the training films.
        check: those of the validation patients, to tell what came out; nothing is chosen by them.
        recipe: `linear` is the strength C.

    Returns:
        C and the AUC on both sides.
    """
    seen, held = (_features(model, films, recipe) for films in (learn, check))
    middle, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    found = LogisticRegression(C=recipe.linear, max_iter=1000).fit((seen - middle) / spread, learn.labels)
    weights = found.coef_[0] / spread
    bias = found.intercept_ - middle @ weights
    model.get_layer(network.EVIDENCE).set_weights([weights.reshape(1, 1, -1, 1).astype(np.float32), bias.astype(np.float32)])
    scores = {"train_auc": metrics.auc(learn.labels, seen @ weights), "val_auc": metrics.auc(check.labels, held @ weights)}
    say(f"linear head, C = {recipe.linear:g}: AUC {scores['train_auc']:.3f} on training, {scores['val_auc']:.3f} on validation films")
    return {"C": recipe.linear, **scores}


def _features(model: keras.Model, films: Prepared, recipe: Recipe) -> NDArray[np.float64]:
    """Shape (n, channels)."""
    outputs = model.predict(batches.scoring(films.images, films.labels, recipe), verbose=0)
    return np.asarray(outputs[network.FEATURES], np.float64)
