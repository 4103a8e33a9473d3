"""A recipe: one experiment, typed and frozen. `train/recipes/<name>.py` holds one each, as `RECIPE`."""

import importlib
import importlib.util
import pkgutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Literal

import train.recipes
from edge.domain import InputSpec
from train.errors import TrainError
from train.split import Fractions


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Random changes of a training image, drawn anew in each epoch."""

    rotation_deg: float
    """Turned by up to this angle either way."""
    zoom: float
    """Made larger or smaller by up to this share."""
    flip_horizontal: bool
    flip_vertical: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The classification layers on top of MobileNetV2's features."""

    filters: int
    """Channels of the 1x1 convolution before the logit map."""
    dropout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of training at one learning rate."""

    name: str
    epochs: int
    learning_rate: float
    """Adam's; with `decay` it falls along a cosine to a tenth of it."""
    train_base: bool
    """Whether MobileNetV2's own weights move (its batch norm statistics never do)."""
    decay: bool = False
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    """AdamW's, on kernels only."""
    warmup_epochs: float = 0.0
    """The rate climbs from nothing for so long, within `epochs`."""
    clip_norm: float | None = None
    """Gradients longer than this, all weights taken together, are shortened to it."""
    label_smoothing: float = 0.0
    """0.1 pulls labels from 0 and 1 to 0.05 and 0.95."""
    ema: float | None = None
    """Momentum of the moving average of the weights, which then is what is scored, kept and handed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides what `mammo-train fit` gives, besides the data."""

    name: str
    summary: str
    input: InputSpec
    alpha: float
    """MobileNetV2's width: 1.0, or less for a smaller network."""
    head: Head
    augment: Augment
    phases: tuple[Phase, ...]
    batch_size: int
    fractions: Fractions
    seed: int
    sensitivity: float
    """The operating point: malignant validation images it must find."""
    undecided: float
    """Share of the validation images nearest to the threshold that become `indeterminate`."""
    max_difference: float
    """Export is refused where an exported probability differs from Keras's by more."""
    mixup: float = 0.0
    """Alpha of mixup's Beta distribution; 0: none."""
    balanced: bool = False
    """Half of each training batch benign, half malignant."""

    def changed(self, epochs: int | None, seed: int | None) -> "Recipe":
        """The same with another number of epochs in every phase, or another seed."""
        recipe = self if seed is None else replace(self, seed=seed)
        if epochs is None:
            return recipe
        return replace(recipe, phases=tuple(replace(phase, epochs=epochs) for phase in recipe.phases))


def names() -> tuple[str, ...]:
    """The recipes that come with mammo-edge."""
    return tuple(module.name for module in pkgutil.iter_modules(train.recipes.__path__))


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
        msg = f"no recipe {name!r}; there are {', '.join(names())}, or give a Python file that sets RECIPE"
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
