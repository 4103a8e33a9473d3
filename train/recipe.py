"""A recipe: one experiment, typed and frozen; `train/recipes/<name>.py` holds one as `RECIPE`."""

from dataclasses import dataclass, replace
from typing import Literal

from edge.domain import InputSpec
from train.data.split import Fractions
from train.errors import TrainError


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    """The random changes of a training image, drawn anew in each epoch."""

    rotation_deg: float
    """The largest angle by which an image is turned, either way, in degrees."""
    zoom: float
    """The largest share by which an image is made larger or smaller."""
    flip_horizontal: bool
    flip_vertical: bool
    shift: float = 0.0
    """The largest move, as a share of the image's sides."""
    blur: float = 0.0
    """
    The largest share of the way to a Gaussian blur, or away from it, which sharpens.

    Films come at every resolution.
    """
    gamma: float = 0.0
    """The largest |log gamma| of its tone curve: scanners differ."""
    gain: float = 0.0
    """
    The largest share by which the contrast changes; the brightness by half of it.

    With `gamma` only.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The classification layers on top of MobileNetV2's features."""

    filters: int
    """Channels of the 1x1 convolution before the logit map; 0: a map linear in the features."""
    dropout: float
    pooling: Literal["average", "auto"] = "average"
    """`average` takes the mean of the evidence, `auto` weighs it by a learnt softmax."""
    levels: tuple[str, ...] = ()
    """
    Layers of MobileNetV2 whose maps are looked at beside the last one, finer and less abstract.

    An example is `block_13_expand_relu`.
    """
    lesions: bool = False
    """
    True to look at the evidence that the pieces' head finds on the whole film, too.

    It is one more channel, with `crops` only.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of training at one learning rate."""

    name: str
    epochs: int
    learning_rate: float
    """The learning rate; with `decay` it falls along a cosine to a tenth."""
    train_base: bool
    """True if MobileNetV2's own weights move (its batch norm statistics never do)."""
    decay: bool = False
    optimizer: Literal["adam", "adamw"] = "adam"
    weight_decay: float = 0.0
    """The weight decay of AdamW, on kernels only."""
    warmup_epochs: float = 0.0
    """The epochs in which the rate climbs from nothing, within `epochs`."""
    clip_norm: float | None = None
    """The norm to which longer gradients are shortened, all weights taken together."""
    label_smoothing: float = 0.0
    """The label smoothing: 0.1 pulls labels from 0 and 1 to 0.05 and 0.95."""
    ema: float | None = None
    """
    Momentum of the moving average of the weights, which is what is scored, kept and handed on.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Crops:
    """A first training on pieces of the prepared mammograms: about each lesion, and beside it."""

    size: int
    """The side of a piece, in pixels of the model's input."""
    abnormality: str | None
    """The kind of lesion to cut out, such as `mass`; None: every kind."""
    background: float
    """Pieces of breast without a lesion, for each piece with one; they count as benign."""
    head: Head
    augment: Augment
    phases: tuple[Phase, ...]
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """
    A last layer found by logistic regression on averaged features of whole mammograms.

    The rest of the network stays as it is.
    """

    strength: float
    """C of scikit-learn, the inverse of the penalty, against the sum over films and copies."""
    copies: int = 0
    """The number of augmented copies of each film, besides the film itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Averages:
    """
    A logistic regression on averaged features and the highest cell of the map of whole films.

    It is fitted on the films as they are and on other renderings of them.
    """

    strength: float
    """C of scikit-learn, the inverse of the penalty."""
    floor: float
    """Added to each feature's spread, lest nearly dead ones get enormous weights."""
    steadiness: float
    """Penalty on directions in which another rendering moves the features."""
    freedom: float
    """Factor by which the highest cell outgrows the features, so that C hardly holds it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """Training of every cell of the map by the lesion boxes, on pieces of whole films."""

    steps: int
    """Batches of the recipe's size."""
    height: int
    """Of a piece, in pixels of the model's input; a multiple of 32, as is its width."""
    width: int
    channels: int
    """Of the head, between MobileNetV2 and the maps."""
    dropout: float
    """Share of the head's channels left out of each step."""
    learning_rate: float
    """AdamW's for MobileNetV2's weights; it climbs in a line, then falls along a cosine."""
    head_learning_rate: float
    warmup_steps: int
    weight_decay: float
    """On kernels only."""
    clip_norm: float
    ema: float
    """Momentum of the moving average of the weights, which is what is kept."""
    frozen_blocks: int = 0
    """Blocks of MobileNetV2, from the image on, that stay: they cost most and change least."""
    calcifications: float = 1.0
    """Share of the films without a mass that take part in each epoch."""
    copies: float = 1.0
    """Share of the smaller copies of another film that take part in each epoch."""
    without_lesion: float = 0.0
    """Share of the pieces that show breast alone."""
    reader: float = 0.0
    """Share of the radiologist's opinion in a lesion's target; the rest is the biopsy's."""
    keep_every: int = 200
    """Steps from one checkpoint to the next."""
    int8_steps: int = 0
    """Steps more in which weights and activations are rounded, for an int8 file of its own."""
    averages: Averages | None = None
    """Averages of the whole film that join the score; None: the map alone is the score."""

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and columns of the map of a piece."""
        return self.height // 16, self.width // 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """All that decides what `mammo-train fit` gives, besides the data."""

    name: str
    summary: str
    input: InputSpec
    alpha: float
    """The width of MobileNetV2: 1.0, or less for a smaller network."""
    head: Head
    augment: Augment
    phases: tuple[Phase, ...]
    batch_size: int
    fractions: Fractions
    seed: int
    sensitivity: float
    """The share of malignant validation images that the operating point must find."""
    undecided: float
    """Share of the validation images nearest to the threshold that become `indeterminate`."""
    max_difference: float
    """The largest difference of an exported probability from Keras's; export refuses more."""
    crops: Crops | None = None
    """
    The training on pieces that comes before whole mammograms.

    Without `phases` and `linear` it is all that the network learns.
    """
    linear: Linear | None = None
    """The fit of the head, if gradient steps do not find it."""
    dense: Dense | None = None
    """The training of a map of every cell; it looks at neither `head`, `augment` nor `phases`."""

    def changed(self, epochs: int | None, seed: int | None) -> "Recipe":
        """
        Give the recipe with another number of epochs in every phase, or another seed.

        An epoch of a dense training is the stretch between two checkpoints.
        """
        recipe = self if seed is None else replace(self, seed=seed)
        if epochs is None:
            return recipe
        crops = recipe.crops and replace(recipe.crops, phases=_lasting(recipe.crops.phases, epochs))
        dense = recipe.dense and replace(recipe.dense, steps=epochs * recipe.dense.keep_every)
        return replace(recipe, phases=_lasting(recipe.phases, epochs), crops=crops, dense=dense)

    @property
    def whole(self) -> bool:
        """Tell if the recipe learns from whole mammograms, not from pieces alone."""
        return bool(self.phases) or self.linear is not None or self.dense is not None

    @property
    def on_crops(self) -> "Recipe":
        """
        Give the training on pieces as a recipe of its own.

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
