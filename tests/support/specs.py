"""The shape and range of a model's input, for tests of pixels."""

from typing import Final

from edge.domain import InputSpec

PAD: Final = InputSpec(
    height=64,
    width=48,
    channels=3,
    low=-1,
    high=1,
    aspect="pad",
    crop=True,
    percentile_low=1,
    percentile_high=99.5,
)
