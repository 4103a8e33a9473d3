"""
A recipe: one experiment, typed and frozen. `train/recipes/<name>.py` holds one each, as `RECIPE`.
"""

import importlib
import importlib.util
import pkgutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Final, Literal

from edge.domain import InputSpec
from train.data.split import Fractions
from train.errors import TrainError

RECIPES: Final = Path(__file__).parent / "recipes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """Random changes of a training image, drawn anew in each epoch."""

    rotation_deg: float
    """Turned by up to this angle either way."""
    zoom: float
    """Made larger or smaller by up to this share."""
    flip_horizontal: bool
    flip_vertical: bool
    shift: float = 0.0
    """Moved by up to this share of its sides."""
    blur: float = 0.0
    """
    Blurred, or sharpened, by up to this share of the way to a Gaussian blur: films come at every
    resolution.
    """
    gamma: float = 0.0
    """The largest |log gamma| of its tone curve: scanners differ."""
    gain: float = 0.0
    """
    Its contrast changes by up to this share, its brightness by up to half of it; with `gamma` only.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The classification layers on top of MobileNetV2's features."""

    filters: int
    """
    Channels of the 1x1 convolution before the logit map; 0: none, the map is linear in the
    features.
    """
    dropout: float
    pooling: Literal["average", "auto"] = "average"
    """
    How evidence becomes the logit: its mean, or its mean weighted by its own softmax, whose
    sharpness is learnt (auto-pool).
    """
    levels: tuple[str, ...] = ()
    """
    Layers of MobileNetV2 whose maps are looked at beside the last one, such as
    `block_13_expand_relu`: finer, less abstract.
    """
    lesions: bool = False
    """
    Whether the evidence that the pieces' head finds on the whole film is looked at, too: one more
    channel, `crops` only.
    """


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
    """
    Momentum of the moving average of the weights, which then is what is scored, kept and handed on.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """A first training on pieces of the prepared mammograms: about each lesion, and beside it."""

    size: int
    """Side of a piece, in pixels of the model's input."""
    abnormality: str | None
    """Only lesions of this kind, such as `mass`; None: of every kind."""
    background: float
    """Pieces of breast without a lesion, for each piece with one; they count as benign."""
    head: Head
    augment: Augment
    phases: tuple[Phase, ...]
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """
    A last layer found by logistic regression on the averaged features of whole mammograms; the rest
    of the network stays as it is.
    """

    strength: float
    """Scikit-learn's C, the inverse of the penalty, against the sum over films and copies."""
    copies: int = 0
    """How often each film is looked at changed by the recipe's `augment`, beside once as it is."""


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
    crops: Crops | None = None
    """
    What the network learns first, before it sees whole mammograms; with neither `phases` nor
    `linear`, all that it learns.
    """
    linear: Linear | None = None
    """How the head is found, where gradient steps do not find it."""

    def changed(self, epochs: int | None, seed: int | None) -> "Recipe":
        """The same with another number of epochs in every phase, or another seed."""
        recipe = self if seed is None else replace(self, seed=seed)
        if epochs is None:
            return recipe
        crops = recipe.crops and replace(recipe.crops, phases=_lasting(recipe.crops.phases, epochs))
        return replace(recipe, phases=_lasting(recipe.phases, epochs), crops=crops)

    @property
    def whole(self) -> bool:
        """Whether it learns from whole mammograms, or from pieces alone."""
        return bool(self.phases) or self.linear is not None

    @property
    def on_crops(self) -> "Recipe":
        """
        The training on pieces, as a recipe of its own.

        Raises:
            TrainError: the recipe has none.
        """
        if self.crops is None:
            msg = f"recipe {self.name} has no crops"
            raise TrainError(msg)
        crops = self.crops
        return replace(
            self,
            input=replace(self.input, height=crops.size, width=crops.size),
            head=crops.head,
            augment=crops.augment,
            phases=crops.phases,
            batch_size=crops.batch_size,
            crops=None,
            linear=None,
        )


def _lasting(phases: tuple[Phase, ...], epochs: int) -> tuple[Phase, ...]:
    return tuple(replace(phase, epochs=epochs) for phase in phases)


def names() -> tuple[str, ...]:
    """The recipes that come with mammo-edge."""
    return tuple(module.name for module in pkgutil.iter_modules([str(RECIPES)]))


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
