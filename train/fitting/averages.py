"""
Averaged features beside the map, for what no place on the film tells.

The map finds masses. Films whose calcifications are lost at this resolution still differ on the
whole, and a logistic regression on averaged features of two layers finds how. Averages also feel
how a film was rendered, so the regression sees every film in three renderings, and directions in
which a rendering alone moves the features are penalised (nuisance whitening).
"""

from typing import Any, Final

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from train.data.films import Prepared
from train.fitting import pieces
from train.fitting.dense_network import AVERAGED, MALIGNANT, POOLED, SCALE, Network, weights_of
from train.fitting.film_order import is_digital
from train.fitting.rendering import Picture, render
from train.progress import bar, say
from train.recipe import Averages, Recipe
from train.stats import metrics

Features = NDArray[np.float64]
"""Shape (n, channels): averages of each layer of AVERAGED, and the highest pooled cell last."""
MOST: Final = 2000
"""Films of one kind and class that are looked at."""
_STREAM: Final = 1_000_003
"""Keeps the draws of the renderings apart from those of the training."""


def fit(
    network: Network, how: Averages, learn: Prepared, check: Prepared, recipe: Recipe
) -> dict[str, Any]:
    """
    Fit the weights of the averages and of the map, and write them into the network.

    Args:
        network: trained, of a recipe with `averages`.
        how: strength and penalties.
        learn: the training films.
        check: those of the validation patients, to tell what came out; nothing is chosen by them.
        recipe: batch size and seed.

    Returns:
        Weight of the map, and the AUC on both sides.
    """
    learn = _some(learn, recipe.seed)
    look = _Look(network, recipe)
    plain, changed, turned = (
        look.features(learn, kind) for kind in ("as they are", "rendered", "turned")
    )
    held = look.features(check, "as they are")
    weights, bias = _fitted(
        np.concatenate([plain, changed, turned]),
        np.tile(learn.labels, 3),
        changed - plain,
        how,
        np.tile(_balance(learn), 3),
    )
    _write(network, weights, bias)
    scores = {
        "map": float(weights[-1]),
        "train_auc": metrics.auc(learn.labels, plain @ weights),
        "val_auc": metrics.auc(check.labels, held @ weights),
    }
    say(
        f"averages, C = {how.strength:g}: AUC {scores['train_auc']:.3f} on training, "
        f"{scores['val_auc']:.3f} on validation films"
    )
    return scores


def _fitted(
    seen: Features,
    labels: NDArray[np.float32],
    moved: Features,
    how: Averages,
    counts: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], float]:
    """
    Regress in coordinates in which spread and movement together are one.

    Args:
        seen: of all renderings.
        labels: 1 for malignant, shape (n,).
        moved: by which another rendering changed the features of each film.
        how: strength and penalties.
        counts: weight of each film in the regression, shape (n,); None: 1.
    """
    middle, spread = seen.mean(axis=0), np.sqrt(seen.var(axis=0) + how.floor**2)
    spread[-1] /= how.freedom
    shaken = moved.T @ moved / len(moved)
    shaken[-1], shaken[:, -1] = 0, 0
    root = np.linalg.cholesky(np.diag(spread**2) + how.steadiness * shaken)
    whitened = np.linalg.solve(root, (seen - middle).T).T
    found = LogisticRegression(C=how.strength, max_iter=2000).fit(whitened, labels, counts)
    weights = np.linalg.solve(root.T, found.coef_[0])
    return weights, float(found.intercept_[0] - middle @ weights)


def _some(films: Prepared, seed: int) -> Prepared:
    """Draw at most MOST films of each kind and class: looking at whole films takes long."""
    generator = np.random.default_rng([seed, _STREAM])
    chosen = [generator.permutation(rows)[:MOST] for rows in _groups(films)]
    if sum(map(len, chosen)) == len(films.films):
        return films
    return films.of(films.films[row] for rows in chosen for row in rows)


def _groups(films: Prepared) -> list[NDArray[np.intp]]:
    """Sort out scanned films and digital mammograms, benign and malignant."""
    digital, malignant = is_digital(films), films.labels > 0
    return [
        np.flatnonzero((digital == kind) & (malignant == bad))
        for kind in (False, True)
        for bad in (False, True)
    ]


def _balance(films: Prepared) -> NDArray[np.float64]:
    """
    Weigh the digital mammograms so that both of their classes count as the scanned films' do.

    Otherwise the averages, which feel what a detector makes, would tell by it how rare cancer was
    in a set. Films alone, or digital mammograms alone, count 1 each.
    """
    weights = np.ones(len(films.films))
    good, bad, digital_good, digital_bad = _groups(films)
    if all(map(len, (good, bad, digital_good, digital_bad))):
        weights[digital_good] = len(good) / len(digital_good)
        weights[digital_bad] = len(bad) / len(digital_bad)
    return weights


def _write(network: Network, weights: NDArray[np.float64], bias: float) -> None:
    start = 0
    for name in AVERAGED:
        layer = network.whole.get_layer(weights_of(name))
        (kernel,) = layer.get_weights()
        layer.set_weights([weights[start : start + kernel.size].reshape(kernel.shape)])
        start += kernel.size
    network.whole.get_layer(SCALE).set_weights([weights[-1:].reshape(1, 1, 1, 1), np.array([bias])])


class _Look:
    """Gives the features of whole films, as they are or rendered anew."""

    def __init__(self, network: Network, recipe: Recipe) -> None:
        image = keras.Input((None, None, recipe.input.channels))
        seen = network.pieces(image)
        pooled = network.whole.get_layer(POOLED)(seen[MALIGNANT])
        averaged = [keras.layers.GlobalAveragePooling2D()(seen[name]) for name in AVERAGED]
        highest = keras.layers.GlobalMaxPooling2D()(pooled)
        self._model = keras.Model(image, keras.layers.Concatenate()([*averaged, highest]))
        self._recipe = recipe

    def features(self, films: Prepared, kind: str) -> Features:
        """One row a film."""
        size, count = self._recipe.batch_size, len(films.films)
        found = [
            self._batch(films, range(start, min(start + size, count)), kind)
            for start in bar(range(0, count, size), f"films {kind}", -(-count // size))
        ]
        return np.concatenate(found).astype(np.float64)

    def _batch(self, films: Prepared, rows: range, kind: str) -> NDArray[np.float32]:
        pictures = np.stack([self._picture(films.images[row], row, kind) for row in rows])
        scaled = pictures.astype(np.float32)[..., None] / 127.5 - 1
        channels = np.repeat(scaled, self._recipe.input.channels, axis=-1)
        return np.asarray(self._model.predict_on_batch(channels))

    def _picture(self, image: NDArray[np.float16], row: int, kind: str) -> Picture:
        film = np.rint(image.astype(np.float32) * 255).astype(np.uint8)
        if kind == "as they are":
            return film
        generator = np.random.default_rng([self._recipe.seed, _STREAM, row, len(kind)])
        if kind == "turned":
            film = pieces.turned(film, generator)
        return render(film, generator)
