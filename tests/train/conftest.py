"""
A tiny data set, a tiny recipe, and one run of the whole command line that several tests look at.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import shallow
from tests.support.once import made_once
from tests.support.tiny import Tiny, draw_films
from train import cli
from train.data import domains, parallel, prepare
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


@pytest.fixture(scope="session", autouse=True)
def _one_process() -> Iterator[None]:
    """
    Few small films are prepared in this process: to start others takes longer.

    A test of those passes `on_this_machine`; the command `prepare` always starts them.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (prepare, domains):
            patch.setattr(module, "on_this_machine", parallel.right_here)
        yield


@pytest.fixture(scope="session", autouse=True)
def _shallow_network() -> Iterator[None]:
    """A third of MobileNetV2's blocks: most of the time goes into building its graphs."""
    with pytest.MonkeyPatch.context() as patch:
        shallow.install(patch)
        yield


@pytest.fixture
def whole_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """MobileNetV2 with all of its blocks."""
    shallow.remove(monkeypatch)


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
    picture gives the same score. The same file for all processes of a run.
    """
    return made_once(tmp_path_factory, "tiny-weights", shallow.draw_weights) / "tiny.weights.h5"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, tiny_recipe: Path, tiny_weights: Path) -> Tiny:
    """Every command once, on a folder with Benign/ and Malignant/; a copy for each process."""
    made = made_once(
        tmp_path_factory, "tiny", lambda root: run_commands(root, tiny_recipe, tiny_weights)
    )
    out = tmp_path_factory.mktemp("tiny") / "run"
    shutil.copytree(made / "run", out)
    return Tiny(RunFolder(out), tiny_recipe, made / "films")


def run_commands(root: Path, recipe: Path, weights: Path) -> None:
    """Fit, export, evaluate and report, in a folder of its own."""
    data, out, about = draw_films(root / "films", 6), root / "run", root / "about.txt"
    about.write_text("Drawn from the fixtures.\n")
    bundle = ["--bundle", out / "bundle", "--bundle-version", "0.1.0", "--about-data", about]
    commands: tuple[list[object], ...] = (
        ["fit", recipe, "--data", data, "--out", out, "--weights", weights],
        ["export", out, *bundle],
        ["evaluate", out, "--invariance", "2"],
        ["report", out, "--card", out / "card.md"],
    )
    for command in commands:
        assert cli.main([str(word) for word in command]) == 0, command
