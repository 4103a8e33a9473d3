"""A finished run, opened again by the commands that come after `fit`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from pydantic import TypeAdapter

from train.data import datasets, split
from train.data.datasets import Sources
from train.data.films import Prepared
from train.data.index import Film, Side
from train.data.prepare import prepared
from train.errors import DataError, TrainError
from train.fitting.rounded_layers import LAYERS
from train.recipe import Recipe
from train.run_folder import RunFolder, read_json


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """The result of `fit`, with its data."""

    recipe: Recipe
    notes: Mapping[str, Any]
    """The contents of `run.json`."""
    sides: Mapping[Side, tuple[Film, ...]]
    films: Prepared
    model: keras.Model
    int8: keras.Model | None = None
    """The network that learnt to be rounded; None: int8 rounds `model`."""

    def side(self, name: Side) -> Prepared:
        """Pick the films of one side of the split."""
        return self.films.of(self.sides[name])


def reopen(run: RunFolder, data: Sources | None) -> FinishedRun:
    """
    Load the network and its data again, split as they were.

    Args:
        run: the folder `fit` wrote.
        data: their place now; None: as in `run.json`.

    Raises:
        TrainError: there is no finished run in the folder.
        DataError: the data are not those of the run.
    """
    notes = read_json(run.notes, "fit RECIPE --data DATA --out RUN")
    recipe = TypeAdapter(Recipe).validate_python(notes["recipe"])
    index = datasets.load(data or tuple(map(Path, notes["data"])))
    if index.fingerprint != notes["index_fingerprint"]:
        msg = (
            f"{index.source}: {len(index.films)} images, not the index that {run.root} "
            "was trained on; test patients would not be the same"
        )
        raise DataError(msg)
    films = prepared(index, recipe.input, run.cache)
    return FinishedRun(
        recipe,
        notes,
        split.assign(index, recipe.fractions, recipe.seed),
        films,
        load_network(run.model),
        load_network(run.model_int8) if run.model_int8.exists() else None,
    )


def load_network(path: Path) -> keras.Model:
    """
    Load a network without what only training needs.

    Raises:
        TrainError: it is not there or Keras cannot read it.
    """
    try:
        return keras.models.load_model(path, compile=False, custom_objects=LAYERS)
    # TypeError: a layer that is not registered here.
    except (OSError, ValueError, TypeError) as error:
        msg = f"{path}: not a readable Keras model: {_in_short(error)}"
        raise TrainError(msg) from None


def _in_short(error: Exception) -> str:
    """Cut the cause out of Keras's page of configuration."""
    cause = str(error).partition("Exception encountered: ")[2] or str(error)
    return " ".join(cause.partition("Full object config")[0].split())
