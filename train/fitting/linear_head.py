"""
The head as a logistic regression on averaged features.

With a thousand films it forgets less than gradient steps do.
"""

from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from train.data.films import Prepared
from train.fitting import batch_order, batches, network
from train.progress import bar, say
from train.recipe import Linear, Recipe
from train.stats import metrics

FREE: Final = 20.0
"""
The evidence of lesions is made larger than features by this factor.

It is one weight to be learnt, which C then hardly holds back.
"""


def fit(
    model: keras.Model, how: Linear, learn: Prepared, check: Prepared, recipe: Recipe
) -> dict[str, Any]:
    """
    Fit the last layer on the averaged features of the films, and write it into the network.

    The features are standardised for the fit, and the scale is folded into the weights: the map
    stays linear in the features and its mean is the logit.

    Args:
        model: as `network.build` gives it for a recipe with a linear head.
        how: strength and copies.
        learn: the training films.
        check: those of the validation patients, to tell what came out; nothing is chosen by them.
        recipe: the same recipe.

    Returns:
        C and the AUC on both sides.
    """
    as_they_are, held = (_features(model, films, recipe) for films in (learn, check))
    changed, truth = _changed(model, learn, how.copies, recipe)
    seen = np.concatenate([as_they_are, changed])
    middle, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    if recipe.head.lesions:
        spread[-1] /= FREE
    found = LogisticRegression(C=how.strength, max_iter=1000)
    found.fit((seen - middle) / spread, np.concatenate([learn.labels, truth]))
    weights = found.coef_[0] / spread
    bias = found.intercept_ - middle @ weights
    model.get_layer(network.LINEAR).set_weights(
        [weights.reshape(1, 1, -1, 1).astype(np.float32), bias.astype(np.float32)]
    )
    scores = {
        "train_auc": metrics.auc(learn.labels, as_they_are @ weights),
        "val_auc": metrics.auc(check.labels, held @ weights),
    }
    say(
        f"linear head, C = {how.strength:g}: AUC {scores['train_auc']:.3f} on "
        f"training, {scores['val_auc']:.3f} on validation films"
    )
    return {"C": how.strength, "copies": how.copies, **scores}


def _features(model: keras.Model, films: Prepared, recipe: Recipe) -> NDArray[np.float64]:
    """Average the features of films, shape (n, channels)."""
    outputs = model.predict(batches.scoring(films.images, films.labels, recipe), verbose=0)
    return np.asarray(outputs[network.FEATURES], np.float64)


def _changed(
    model: keras.Model, films: Prepared, copies: int, recipe: Recipe
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Average the features of augmented copies, (m, channels), with their labels, (m,)."""
    count = copies * batch_order.steps(len(films.films), recipe.batch_size)
    features, labels = (
        [np.zeros((0, model.output[network.FEATURES].shape[1]))],
        [np.zeros(0, np.float32)],
    )
    for images, truth in bar(
        batches.training(films.images, films.labels, recipe).take(count), "changed copies", count
    ):
        features.append(np.asarray(model.predict_on_batch(images)[network.FEATURES], np.float64))
        labels.append(np.asarray(truth)[:, 0])
    return np.concatenate(features), np.concatenate(labels)
