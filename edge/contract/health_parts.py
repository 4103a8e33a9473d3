"""Parts of `health` that count results, exams and scores."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]
Histogram = Annotated[
    list[Annotated[int, Field(ge=0, le=10**9)]], Field(min_length=20, max_length=20)
]
"""The number of scores in each of 20 equal bins from 0 to 1."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ExamsPart(_Part):
    """Exams, if their results are published."""

    waiting: Count
    """Exams that wait for further images."""
    last_seq: Count
    """The last number that the result of an exam was given."""


class OutboxPart(_Part):
    """Results that a sink does not have yet."""

    waiting: Count
    held: Count
    """Results that the broker refused."""


class DriftPart(_Part):
    """The distance of recent scores from those that the model was measured on."""

    images: Count
    index: float | None
    counts: Histogram
    """The recent scores of `images`; those of several devices may be added up."""
    reference: Histogram
    """The scores of the model's validation images; equal on devices that may be compared."""
