"""The published result of an exam, as models."""

import uuid
from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge import NOTICE
from edge.contract.result import DecisionPart, Hash, ModelPart, Probability
from edge.domain import Domain, Label, Laterality
from edge.models.breasts import Projection

SCHEMA: Final = "mammo.exam/1"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class ExamScore(_Part):
    """The score of the breast whose score is higher."""

    malignant: Probability
    """Calibrated probability of malignancy."""
    laterality: Laterality
    """The breast, the left one of two equal."""


class BreastPart(_Part):
    """The CC and MLO of one breast, taken together."""

    laterality: Laterality
    outcome: Label
    malignant: Probability
    """Calibrated probability of malignancy."""
    logit: float
    """The mean of the raw logits of its views, before calibration."""
    views: list[Projection]
    """The views that were averaged, CC first."""
    domain: Domain
    decision: DecisionPart


class ViewPart(_Part):
    """An image of the exam, and its own result."""

    image_id: Hash
    result_id: uuid.UUID
    laterality: Laterality | None
    view: str | None
    """DICOM's View Position."""
    counts_as: Projection | None
    """The view as which it was averaged; null if it is named alone."""
    outcome: Literal["benign", "malignant", "indeterminate", "rejected"]
    malignant: Probability | None
    """Calibrated score of this image alone; null if it was rejected."""


class ExamMessage(_Part):
    """One revision of an exam's result."""

    schema_: Annotated[Literal["mammo.exam/1"], Field(alias="schema")] = SCHEMA
    result_id: uuid.UUID
    """Names this revision; the same at any delivery."""
    exam_id: Hash
    """
    With `[publish] subject_key_file`, HMAC-SHA256 of the Study Instance UID, as `subject.exam` of
    its results, or of `exam:` and the sender's reference; else drawn at random.
    """
    revision: Annotated[int, Field(ge=1)]
    """1, and one more for each change."""
    supersedes: uuid.UUID | None
    """The revision that this one replaces; null for the first."""
    seq: Annotated[int, Field(ge=1)]
    """Grows by one with every exam result of this ledger; results have numbers of their own."""
    ledger_id: uuid.UUID
    """Changes when the device's ledger is rebuilt, and seq starts again."""
    site: str
    device: str
    outcome: Literal["benign", "malignant", "indeterminate", "rejected"]
    """
    `malignant` if a breast is, else `indeterminate` if one is; `rejected` takes an earlier revision
    back.
    """
    reasons: list[str]
    """The reasons for `rejected`, each `<reason>: <detail>`."""
    score: ExamScore | None
    """null if the exam was rejected."""
    complete: bool
    """CC and MLO of both breasts are there."""
    breasts: list[BreastPart]
    """Left before right; one without CC and MLO is absent."""
    views: list[ViewPart]
    """All images of the exam, by laterality, view and image_id; none if the exam was rejected."""
    model: ModelPart | None
    """The model whose scores were averaged; null if the exam was rejected."""
    completed_at: datetime
    notice: str = NOTICE
