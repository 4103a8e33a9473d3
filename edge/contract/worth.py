"""The worth of a model in answers to commands, as `edge.models.comparison.worth` gives it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from edge.contract.result import Probability
from edge.domain import Domain

Count = Annotated[int, Field(ge=0)]


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class MeasuredPart(_Sent):
    """The worth of a model on mammograms that it has not learnt from."""

    domain: Domain | None
    """null if the bundle does not say on which it was measured."""
    data: str
    """Data set and patients, in words."""
    images: Count
    patients: Count
    auc: Probability
    interval_95: tuple[Probability, Probability]


class WorthPart(_Sent):
    """The worth and the cost of a model."""

    name: str
    version: str
    file: str
    measured: list[MeasuredPart]
    """Empty if nothing is known."""
    median_ms: Annotated[float, Field(ge=0)] | None
    """Of one inference with one thread, where it was exported."""
    bytes: Count | None
