"""
A tiny data set, a tiny recipe, and one run of the whole command line that several tests look at.
"""

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.support.tiny import Tiny, draw_films
from train import cli
from train.run_folder import RunFolder
from train.stats import bootstrap

RECIPE = """
from dataclasses import replace
from train.recipe import Head
from train.recipes.seed import RECIPE as SEED

RECIPE = replace(
    SEED, name="tiny", alpha=0.35, batch_size=4, head=Head(filters=8, dropout=0.1),
    input=replace(SEED.input, height=64, width=64),
    phases=tuple(replace(phase, epochs=1) for phase in SEED.phases),
)
"""


@pytest.fixture(scope="session", autouse=True)
def _fewer_resamples() -> Iterator[None]:
    """The real 2000 take seconds; what the tests look at shows with fewer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 200)
        yield


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Five patients a class, two films each."""
    return draw_films(tmp_path / "films", 5)


@pytest.fixture(scope="session")
def tiny_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seed recipe on the smallest network, one epoch a phase."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.py"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    Random weights of the tiny network whose batch norm knows its statistics: without them every
    picture gives the same score.
    """
    keras.utils.set_random_seed(0)
    base = keras.applications.MobileNetV2(
        input_shape=(64, 64, 3), alpha=0.35, include_top=False, weights=None
    )
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    base(np.random.default_rng(0).uniform(-1, 1, (32, 64, 64, 3)).astype(np.float32), training=True)
    path = tmp_path_factory.mktemp("weights") / "tiny.weights.h5"
    base.save_weights(path)
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Path, tiny_weights: Path) -> Tiny:
    """Every command once, on a folder with Benign/ and Malignant/."""
    root = tmp_path_factory.mktemp("tiny")
    data = draw_films(root / "films", 6)
    out = root / "run"
    about = root / "about.txt"
    about.write_text("Drawn from the fixtures.\n")
    commands = (
        [
            "fit",
            str(tiny_recipe),
            "--data",
            str(data),
            "--out",
            str(out),
            "--weights",
            str(tiny_weights),
        ],
        [
            "export",
            str(out),
            "--bundle",
            str(out / "bundle"),
            "--bundle-version",
            "0.1.0",
            "--about-data",
            str(about),
        ],
        ["evaluate", str(out), "--invariance", "2"],
        ["report", str(out), "--card", str(out / "card.md")],
    )
    for command in commands:
        assert cli.main(command) == 0, command
    return Tiny(RunFolder(out), tiny_recipe, data)
