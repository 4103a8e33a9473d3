"""The message on `feedback`, and the answers to everything that is answered with `mammo.ack/1`."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from edge.contract.messages import COMMANDS, Answer, Count
from edge.contract.result import Hash
from edge.models.pairs import Basis, Truth
from edge.mqtt.topics import FEEDBACK

SCHEMA: Final = "mammo.feedback/1"


class Feedback(BaseModel):
    """A verdict: the truth that was found out about an image that has a score."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    schema_: Literal["mammo.feedback/1"] = Field(alias="schema")
    image_id: Hash
    truth: Truth
    """`benign` also if nothing at all was found."""
    basis: Basis
    """The evidence: a biopsy, a follow-up, or the opinion of a reader."""
    score_seen: StrictBool
    """True if whoever judged had seen the score."""


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
