"""The message on `feedback`, and the answers to everything that is answered with `mammo.ack/1`."""

from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from edge.contract.messages import COMMANDS, Answer, Count
from edge.contract.result import Hash
from edge.models.pairs import Basis, Truth
from edge.mqtt.topics import FEEDBACK

SCHEMA: Final = "mammo.feedback/1"


class Feedback(BaseModel):
    """A verdict: the truth that was found out about an image or an exam that has a score."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_extra={"oneOf": [{"required": ["image_id"]}, {"required": ["exam_id"]}]},
    )

    schema_: Literal["mammo.feedback/1"] = Field(alias="schema")
    image_id: Hash = Field(default_factory=str)
    """Absent from a verdict on an exam."""
    exam_id: Hash = Field(default_factory=str)
    """Of the exam as a whole; absent from a verdict on an image."""
    truth: Truth
    """`benign` also if nothing at all was found."""
    basis: Basis
    """The evidence: a biopsy, a follow-up, or the opinion of a reader."""
    score_seen: StrictBool
    """True if whoever judged had seen the score."""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if bool(self.image_id) == bool(self.exam_id):
            msg = "expected image_id or exam_id, and not both"
            raise ValueError(msg)
        return self


class FeedbackAnswer(Answer, extra="forbid"):
    """The number of verdicts that were taken."""

    verdicts: Count
    changed: Count
    """Verdicts that are new, or say something else than the one before."""


OBEYED: Final[dict[str, tuple[type[BaseModel], type[Answer]]]] = {
    **COMMANDS,
    FEEDBACK: (Feedback, FeedbackAnswer),
}
"""The message of each command and of verdicts, and its answer."""
