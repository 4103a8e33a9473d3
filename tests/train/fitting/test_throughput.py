"""
`mammo-train bench`: that it measures the three things, and says when training would wait. Not how
fast they are.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.domain import Box
from edge.inference.geometry import Geometry
from tests.support.films_drawn import film, lesion, prepared
from train import cli
from train.data.films import Prepared
from train.errors import TrainError
from train.fitting import network, throughput
from train.fitting.throughput import Throughput
from train.recipe import Crops, Recipe
from train.recipes.seed import RECIPE as SEED
from train.run_folder import RunFolder


def test_bench_gives_images_a_second_of_all_three(
    films: Path, tiny_recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunFolder(tmp_path / "run")
    assert (
        cli.main(
            [
                "bench",
                str(tiny_recipe),
                "--data",
                str(films),
                "--out",
                str(run.root),
                "--batches",
                "2",
            ]
        )
        == 0
    )
    found = json.loads((run.root / "throughput.json").read_text())
    assert sorted(found) == ["pipeline", "prepare_one_core", "step"]
    assert all(value > 0 for value in found.values())
    assert (
        f"input pipeline {found['pipeline']}, training step {found['step']} images/s"
        in capsys.readouterr().err
    )


def two_films() -> Prepared:
    known = (lesion(30, 40, 50, 60), lesion(20, 60, 40, 80, malignant=False))
    films = [
        film(number, malignant=number == 0, lesions=(one,)) for number, one in enumerate(known)
    ]
    geometry = Geometry(
        100, 80, flipped=False, box=Box(0, 0, 80, 100), top=0, left=0, height=100, width=80
    )
    return prepared(films, np.full((2, 100, 80), 0.5), geometry)


def on_pieces(**more: Any) -> Recipe:  # noqa: ANN401 - any of Crops' fields
    how: dict[str, Any] = {
        "size": 32,
        "abnormality": None,
        "background": 0.0,
        "head": SEED.head,
        "augment": SEED.augment,
        "batch_size": 2,
    }
    return replace(SEED, alpha=0.35, phases=(), crops=Crops(**how, **more))


def test_recipe_that_learns_from_pieces_alone_is_measured_on_pieces() -> None:
    stage, images, labels = throughput._last_stage(on_pieces(phases=SEED.phases), two_films())
    assert (stage.input.height, stage.batch_size, stage.phases) == (32, 2, SEED.phases)
    assert images.shape == (2, 48, 48)
    assert labels.tolist() == [1, 0]


def test_recipe_without_phases_has_no_step_to_measure() -> None:
    with pytest.raises(TrainError, match="has no phases: there is no training step"):
        throughput._last_stage(on_pieces(phases=()), two_films())


def test_step_moves_what_its_phase_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[dict[str, Any]] = []
    monkeypatch.setattr(network, "train_base", lambda _model, **how: moved.append(how))
    phase = replace(SEED.phases[-1], train_base=True)
    stage = on_pieces(phases=(phase,)).on_crops
    next(
        throughput._steps(
            stage, 2, (np.zeros((2, 32, 32, 3), np.float32), np.array([[0.0], [1.0]], np.float32))
        )
    )
    assert moved == [{"trainable": True}]


def test_slower_pipeline_than_step_means_waiting() -> None:
    assert Throughput(prepare_one_core=1, pipeline=9, step=10).waits
    assert not Throughput(prepare_one_core=1, pipeline=11, step=10).waits


def test_rate_counts_what_is_drawn_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, clock = iter(range(100)), iter((0.0, 0.5))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    assert throughput._rate(drawn, images=4, count=10) == 80
    assert next(drawn) == throughput.WARM_UP + 10
