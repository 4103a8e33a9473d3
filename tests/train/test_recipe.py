"""Recipes: found by name or file, frozen, changed only where asked."""

import importlib
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from train import recipes
from train.errors import TrainError
from train.recipes.seed import RECIPE


def test_seed_is_found_by_name() -> None:
    assert recipes.load("seed") is RECIPE
    assert "seed" in recipes.names()


def test_every_recipe_says_its_command_and_result() -> None:
    for name in recipes.names():
        text = importlib.import_module(f"train.recipes.{name}").__doc__ or ""
        assert f"mammo-train fit {name} --data" in text
        assert "minutes" in text
        assert "AUC" in text


def test_seed_is_what_the_known_recipe_asks_for() -> None:
    assert (RECIPE.input.height, RECIPE.input.width, RECIPE.input.low, RECIPE.input.high) == (
        150,
        150,
        0.0,
        1.0,
    )
    assert RECIPE.augment.rotation_deg > 0
    assert RECIPE.augment.zoom > 0
    assert RECIPE.augment.flip_horizontal


def test_recipe_is_read_from_a_file_of_ones_own(tiny_recipe: Path) -> None:
    assert recipes.load(str(tiny_recipe)).name == "tiny"


def test_recipe_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        RECIPE.seed = 2  # type: ignore[misc]


def test_epochs_and_seed_are_changed_in_every_phase() -> None:
    changed = RECIPE.changed(3, 7)
    assert {phase.epochs for phase in changed.phases} == {3}
    assert changed.seed == 7
    assert RECIPE.changed(None, None) == RECIPE


@pytest.mark.parametrize(
    ("name", "message"), [("none", "there are .*seed"), ("none.py", "no such recipe file")]
)
def test_unknown_recipe_is_refused(name: str, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        recipes.load(name)


def test_file_without_a_recipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.py"
    path.write_text("RECIPE = 1\n")
    with pytest.raises(TrainError, match=r"RECIPE is 1, expected a train\.recipe\.Recipe"):
        recipes.load(str(path))
