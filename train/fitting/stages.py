"""The stages of `fit`: pieces first if the recipe says so, then whole mammograms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras

from train.data.films import Prepared
from train.data.index import Film, Side
from train.fitting import (
    averages,
    crops,
    dense_loop,
    dense_network,
    fake_quantised,
    linear_head,
    loop,
    network,
    objectives,
    weight_rounding,
)
from train.fitting.dense_network import Network
from train.fitting.loop import Data
from train.progress import say
from train.recipe import Crops, Dense, Recipe
from train.run_folder import RunFolder


@dataclass(frozen=True, slots=True)
class Trained:
    """The network of the last stage, and the history of all."""

    model: keras.Model
    history: dict[str, Any]
    """The history of the last stage as `loop.train` gives it; `crops` holds that of a first one."""
    int8: keras.Model | None = None
    """The network for the int8 file, if the recipe trains one."""

    @property
    def seconds(self) -> float:
        """Sum the seconds of all epochs of all stages."""
        first = self.history.get("crops", {"epochs": []})["epochs"]
        own = [epoch for epoch in self.history["epochs"] if epoch not in first]
        return round(sum(float(epoch["seconds"]) for epoch in [*first, *own]), 1)


Started: TypeAlias = keras.Model | Network
"""The network of a first stage; for a dense recipe, in both of its forms."""


def start(recipe: Recipe, weights: str) -> Started:
    """
    Build the network of the first stage.

    Args:
        recipe: with phases for whole mammograms, `crops`, or both; or `dense`.
        weights: as `network.build` takes them.

    Raises:
        TrainError: the weights cannot be had or do not fit.
    """
    if recipe.dense is not None:
        return dense_network.build(recipe, recipe.dense, weights)
    return network.build(recipe.on_crops if recipe.crops else recipe, weights)


def train(
    model: Started,
    recipe: Recipe,
    films: Prepared,
    sides: Mapping[Side, tuple[Film, ...]],
    run: RunFolder,
) -> Trained:
    """
    Train every stage of a recipe, each in a folder of its own, after its last finished epoch.

    Args:
        model: as `start` gives it.
        recipe: the same.
        films: of all sides.
        sides: the films of each side.
        run: takes checkpoints and logs.

    Raises:
        DataError: the recipe wants lesion boxes and the films have none. TrainError: the folder's
        checkpoints are not of this training.
    """
    learn, check = films.of(sides["train"]), films.of(sides["validation"])
    if recipe.dense is not None:
        return _dense(model, recipe, recipe.dense, (learn, check), run)
    if recipe.crops is None:
        return Trained(
            model, loop.train(model, _whole(learn, check, recipe), recipe.phases, run.stage())
        )
    first = _on_pieces(model, recipe, recipe.crops, (learn, check), run)
    if not recipe.whole:
        return Trained(model, first)
    whole = network.build(recipe, "none")
    network.hand_on(model, whole)
    history = (
        loop.train(whole, _whole(learn, check, recipe), recipe.phases, run.stage("whole"))
        if recipe.phases
        else dict(first)
    )
    if recipe.linear is not None:
        history["linear"] = linear_head.fit(whole, recipe.linear, learn, check, recipe)
    return Trained(whole, {**history, "crops": first})


def _dense(
    network: Network, recipe: Recipe, how: Dense, films: tuple[Prepared, Prepared], run: RunFolder
) -> Trained:
    """
    Train the map, then the averages; then a copy that rounds, for the int8 file, to answer alike.
    """
    learn, check = films
    found = dense_loop.train(network, learn, recipe, how, run.stage())
    if how.averages is not None:
        found["averages"] = averages.fit(network, how.averages, learn, check, recipe)
    if not how.int8_steps:
        return Trained(network.whole, found)
    rounding = fake_quantised.of(network, learn, recipe, how)
    weight_rounding.round_weights(rounding, learn, recipe.seed)
    found["int8"] = dense_loop.train(
        rounding,
        learn,
        recipe,
        fake_quantised.slower(how),
        run.stage("int8"),
        objectives.imitation(rounding, network),
    )
    if how.averages is not None:
        found["int8"]["averages"] = averages.fit(rounding, how.averages, learn, check, recipe)
    file = fake_quantised.for_file(rounding, recipe, how)
    return Trained(network.whole, found, file.whole)


def _on_pieces(
    model: keras.Model, recipe: Recipe, how: Crops, films: tuple[Prepared, Prepared], run: RunFolder
) -> dict[str, Any]:
    small = recipe.on_crops
    learn, check = (crops.cut(side, how, recipe.seed) for side in films)
    say(
        f"crops: {len(learn.labels)} pieces, {int(learn.lesion.sum())} of "
        f"them lesions, {int(learn.labels.sum())} malignant"
    )
    data = Data.of((learn.images, learn.labels), (check.middle(how.size), check.labels), small)
    return loop.train(model, data, small.phases, run.stage("crops"))


def _whole(learn: Prepared, check: Prepared, recipe: Recipe) -> Data:
    return Data.of((learn.images, learn.labels), (check.images, check.labels), recipe)
