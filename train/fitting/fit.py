"""`mammo-train fit`: train a recipe, and keep the epoch that was best on validation patients."""

import csv
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from edge.models.bundle import sha256_of
from train.data import datasets, split
from train.data.datasets import Sources
from train.data.films import Prepared
from train.data.index import SIDES, Film, Index, Side
from train.data.prepare import prepared
from train.errors import TrainError
from train.fitting import devices, loop, resume, stages
from train.progress import say
from train.recipe import Recipe
from train.run_folder import RunFolder, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of the command."""

    recipe: Recipe
    data: Sources
    weights: str
    """The starting weights: `imagenet`, `none` or a file."""
    command: str
    """The command as typed, for the notebook of the run."""
    devices: int | None = None
    """The number of this machine's devices to train on; None: all its GPUs, or the CPU."""
    restart: bool = False
    """Forget what was trained in the folder before."""


def fit(request: Request, run: RunFolder) -> None:
    """
    Train and write `model.keras`, `history.json`, `split.csv` and `run.json` into the run's folder.

    Where the same was begun there and interrupted, it goes on after its last finished epoch.

    Raises:
        DataError: the data set is not usable.
        TrainError: the weights are not, or the folder holds another training.
    """
    recipe = request.recipe
    strategy = devices.strategy(_devices(request), recipe.batch_size)
    index = datasets.load(request.data)
    with strategy.scope():
        _begin(run, _asked(request, index), restart=request.restart)
    if run.notes.exists():
        say(f"trained already: {run.model}; --restart trains it anew")
        return
    loop.make_deterministic(recipe.seed)
    with strategy.scope():
        devices.wait_for_all()
        model = stages.start(recipe, request.weights)
        start = time.monotonic()
        sides = split.assign(index, recipe.fractions, recipe.seed)
        films = prepared(index, recipe.input, run.cache)
        prepare_s = round(time.monotonic() - start, 1)
        say_split(sides)
        trained = stages.train(model, recipe, films, sides, run)
    if devices.keeps_files():
        trained.model.save(run.model)
        if trained.int8 is not None:
            trained.int8.save(run.model_int8)
        write_split(run.split, sides)
        write_json(run.history, trained.history)
        times = {"prepare_s": prepare_s, "train_s": trained.seconds}
        # The notes come last: with them, the run counts as finished.
        write_json(run.notes, notes(request, index, sides, films, times))
        say(f"trained in {times['train_s']} s: {run.model}")


def _devices(request: Request) -> int | None:
    """
    Choose how many devices to train on: a dense recipe takes one.

    Raises:
        TrainError: it is asked for more.
    """
    if request.recipe.dense is None:
        return request.devices
    if devices.machines() > 1 or (request.devices or 1) > 1:
        msg = f"recipe {request.recipe.name} trains on one device, expected --devices 1"
        raise TrainError(msg)
    return 1


def _begin(run: RunFolder, asked: Mapping[str, Any], *, restart: bool) -> None:
    """Begin or go on; of several machines, the first one forgets before the others look."""
    if restart:
        if devices.keeps_files():
            resume.forget(run)
        devices.wait_for_all()
    resume.begin(run, asked, keeps_files=devices.keeps_files())


def _asked(request: Request, index: Index) -> dict[str, Any]:
    """Gather everything that decides the result."""
    weights = Path(request.weights)
    contents = {
        "lesions": index.lesions_fingerprint,
        "weights": sha256_of(weights) if weights.is_file() else None,
    }
    return {
        "recipe": asdict(request.recipe),
        "data": index.fingerprint,
        "weights": request.weights,
        "contents": contents,
    }


def say_split(sides: Mapping[Side, tuple[Film, ...]]) -> None:
    """Print how many images and patients each side has."""
    for side in SIDES:
        say(
            "{side}: {images} images ({malignant} malignant) of {patients} patients".format(
                side=side, **counts(sides[side])
            )
        )


def counts(films: tuple[Film, ...]) -> dict[str, int]:
    """Count images, malignant images and patients among some films."""
    return {
        "images": len(films),
        "malignant": sum(film.malignant for film in films),
        "patients": len({film.patient for film in films}),
    }


def notes(
    request: Request,
    index: Index,
    sides: Mapping[Side, tuple[Film, ...]],
    films: Prepared,
    times: Mapping[str, float],
) -> dict[str, Any]:
    """Gather what another person needs to do it again."""
    return {
        "command": request.command,
        "recipe": asdict(request.recipe),
        "data": [str(path) for path in datasets.paths_of(request.data)],
        "index_fingerprint": index.fingerprint,
        "weights": request.weights,
        "split": {side: counts(sides[side]) for side in SIDES},
        "refused": films.refused,
        "times": times,
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
    }


def write_split(path: Path, sides: Mapping[Side, tuple[Film, ...]]) -> None:
    """Write who stood where, as an index of its own (path, label, patient, split)."""
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["path", "label", "patient", "split"])
        lines.writerows(
            (film.name, film.label, film.patient, side) for side in SIDES for film in sides[side]
        )
