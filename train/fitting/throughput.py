"""`mammo-train bench`: images a second of preparing, input pipeline and training step."""

import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from train.data.films import Prepared, prepare_film
from train.errors import TrainError
from train.fitting import batch_order, batches, crops, loop, network, optimizer
from train.progress import say, warn
from train.recipe import Recipe
from train.run_folder import RunFolder, write_json

FILMS: Final = 16
"""The number of films that are decoded and prepared."""
WARM_UP: Final = 2
"""Batches before the clock starts: the first ones trace graphs and fill buffers."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """The measured rates, in images a second."""

    prepare_one_core: float
    """The rate from file to prepared image, in one process."""
    pipeline: float
    """The rate from the cache to augmented batches, on all cores."""
    step: float
    """The rate of forward, backward and update of the last phase, on all cores."""

    @property
    def waits(self) -> bool:
        """Tell if training would wait for its images, had each a machine of its own."""
        return self.pipeline < self.step


def bench(recipe: Recipe, films: Prepared, run: RunFolder, count: int) -> Throughput:
    """
    Measure, print and write RUN/throughput.json.

    Args:
        recipe: its last phase is measured, on random weights: they cost the same. On pieces, if it
            learns from them alone.
        films: any of the data set.
        run: takes the file.
        count: batches the clock runs for.

    Raises:
        TrainError: the recipe has no phases. DataError: it learns from pieces and the films come
        without lesion boxes.
    """
    loop.make_deterministic(recipe.seed)
    stage, images, labels = _last_stage(recipe, films)
    data = batches.training(images, labels, stage)
    found = Throughput(
        prepare_one_core=round(_prepare_rate(films, recipe), 1),
        pipeline=round(_rate(iter(data), stage.batch_size, count), 1),
        step=round(_rate(_steps(stage, len(labels), next(iter(data))), stage.batch_size, count), 1),
    )
    write_json(run.root / "throughput.json", asdict(found))
    say(
        f"prepare {found.prepare_one_core} images/s on one core; input pipeline "
        f"{found.pipeline}, training step {found.step} images/s"
    )
    if found.waits:
        warn("the input pipeline is slower than the training step: training waits for its images")
    return found


def _last_stage(
    recipe: Recipe, films: Prepared
) -> tuple[Recipe, NDArray[np.float16], NDArray[np.float32]]:
    """Give the recipe, images and labels of the last training by gradients."""
    if recipe.phases:
        return recipe, films.images, films.labels
    if recipe.crops is None or not recipe.crops.phases:
        msg = f"recipe {recipe.name} has no phases: there is no training step to measure"
        raise TrainError(msg)
    pieces = crops.cut(films, recipe.crops, recipe.seed)
    return recipe.on_crops, pieces.images, pieces.labels


def _rate(work: Iterator[Any], images: int, count: int) -> float:
    """Measure images a second while `count` items are drawn; each stands for so many images."""
    _draw(work, WARM_UP)
    start = time.perf_counter()
    _draw(work, count)
    return images * count / (time.perf_counter() - start)


def _draw(work: Iterable[Any], count: int) -> None:
    for _ in itertools.islice(work, count):
        pass


def _prepare_rate(films: Prepared, recipe: Recipe) -> float:
    some = films.films[:FILMS]
    start = time.perf_counter()
    for film in some:
        prepare_film(film, recipe.input)
    return len(some) / (time.perf_counter() - start)


def _steps(recipe: Recipe, images: int, batch: tuple[tf.Tensor, tf.Tensor]) -> Iterator[Any]:
    """Do a training step on the same batch for each item drawn."""
    phase = recipe.phases[-1]
    model = network.build(recipe, "none")
    network.train_base(model, trainable=phase.train_base)
    classifier = network.classifier(model)
    optimizer.compile_for(classifier, phase, batch_order.steps(images, recipe.batch_size))
    while True:
        yield classifier.train_on_batch(*batch)
