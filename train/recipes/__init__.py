"""
Recipes, one file each. The docstring of each has its command, its measured time and its score.
"""

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from types import ModuleType

from train.errors import TrainError
from train.recipe import Recipe


def names() -> tuple[str, ...]:
    """List the recipes that come with mammo-edge."""
    return tuple(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Recipe:
    """
    Find a recipe by its name, or read it from a Python file of your own that sets `RECIPE`.

    Raises:
        TrainError: there is none, or it holds no `Recipe`.
    """
    if name.endswith(".py"):
        module = _module_of(Path(name))
    elif name in names():
        module = importlib.import_module(f"train.recipes.{name}")
    else:
        msg = (
            f"no recipe {name!r}; there are {', '.join(names())}, or "
            "give a Python file that sets RECIPE"
        )
        raise TrainError(msg)
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, Recipe):
        msg = f"{name}: RECIPE is {recipe!r}, expected a train.recipe.Recipe"
        raise TrainError(msg)
    return recipe


def _module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        msg = f"{path}: no such recipe file"
        raise TrainError(msg)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
