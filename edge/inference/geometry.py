"""The place of the model's input in the original, and the way back."""

from dataclasses import dataclass

from edge.domain import Box


@dataclass(frozen=True, slots=True)
class Geometry:
    """The place in the original that the model's input comes from."""

    rows: int
    columns: int
    """The columns of the original."""
    flipped: bool
    """True if left and right were exchanged, so that the chest wall is on the left."""
    box: Box
    """The cut-out, in original pixel coordinates."""
    top: int
    left: int
    height: int
    width: int
    """`top` to `width`: the place of the cut-out in the model's input; the rest is padding."""
