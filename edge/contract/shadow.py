"""The answer of a second model beside the first one's, as `shadow/result` has it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.contract.messages import ModelPart
from edge.contract.result import Hash, Probability


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ShadowPart(_Sent):
    """The answer of one of two models."""

    outcome: Literal["benign", "malignant", "indeterminate", "rejected"]
    malignant: Probability | None
    model: ModelPart


class ShadowResult(_Sent):
    """The answer of a second model beside that of the one that serves."""

    schema_: Literal["mammo.shadow/1"] = Field(alias="schema")
    image_id: Hash
    agree: bool
    shadow: ShadowPart
    serving: ShadowPart
