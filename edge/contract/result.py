"""
The published result, as models.

`python -m edge.contract.result` prints its JSON Schema.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge import NOTICE
from edge.domain import Domain, Flag, KnownBy, Withheld

SCHEMA: Final = "mammo.result/1"

Probability = Annotated[float, Field(ge=0, le=1)]
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Milliseconds = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Score(_Part):
    """The model's answer."""

    malignant: Probability
    """Calibrated probability of malignancy."""
    raw: Probability
    """The model's own output before calibration."""


class DecisionPart(_Part):
    """The threshold that made the score an outcome."""

    operating_point: str
    threshold: Probability
    band: tuple[Probability, Probability]
    """Scores from the first up to, not including, the second are `indeterminate`."""
    withheld: Withheld | None = None
    """
    The outcome is `indeterminate` whatever the score is, since the model was not measured on
    images of this domain, or ranks them no better than chance; absent if the score decides.
    """


class DomainPart(_Part):
    """The kind of machine that the image comes from."""

    kind: Domain
    known_by: KnownBy | None
    """The DICOM header, or what is seen; null for an unknown domain."""
    measured: bool | None
    """The model was measured on such images; null if its manifest does not say on which."""


class GatePart(_Part):
    """The judgement if the input is fit to be scored."""

    passed: bool
    reasons: list[str]
    """The reasons against it, each `<reason>: <detail>`."""
    flags: list[Flag] | None = None
    """Cautions from the DICOM header of an image that has a score; absent if there are none."""


class ImagePart(_Part):
    """The pixels as they were decoded."""

    rows: int
    columns: int
    bits: int
    photometric: str
    laterality: Literal["L", "R"] | None
    view: str | None
    format: str
    transfer_syntax: str | None
    turned: bool
    """The picture was a negative: bright and dark were exchanged before the model looked."""


class SourcePart(_Part):
    """The way by which this submission came."""

    kind: Literal["folder", "mqtt", "retry", "file"]
    received_at: datetime


class SubjectPart(_Part):
    """
    Keyed hashes that link results of one object or exam without naming it.

    They are absent unless a key is configured.
    """

    image: Hash
    """HMAC-SHA256 of the SOP Instance UID."""
    exam: Hash
    """HMAC-SHA256 of the Study Instance UID."""


class ModelPart(_Part):
    """The model that computed the score, to the byte."""

    name: str
    version: str
    bundle: Hash
    file: str
    sha256: Hash
    preprocess: Hash
    quantization: str


class RuntimePart(_Part):
    """The interpreter that computed the score."""

    backend: str
    fallback: bool
    threads: int


class TimingPart(_Part):
    """
    Milliseconds; `wait` from arrival to the worker, `total` from arrival to the outcome.

    They are time that has passed, whatever becomes of the clock: no differences of dates.
    """

    wait: Milliseconds
    decode: Milliseconds
    prepare: Milliseconds
    infer: Milliseconds
    total: Milliseconds


class HeatMapPart(_Part):
    """
    Logits on a grid over a box of the original image, rows from top to bottom.

    Pooled, they are the logit of the score before calibration: by their mean, or, if there are
    `findings`, by their highest. They are no diagnosis.
    """

    values: list[list[float]]
    box: tuple[float, float, float, float]
    """xmin, ymin, xmax, ymax in original pixels, origin top left."""


class FindingPart(_Part):
    """A peak of the map: a place that speaks for malignancy, in pixels of the original image."""

    x: float
    y: float
    """The centre of the peak; origin of both is top left."""
    box: tuple[float, float, float, float]
    """xmin, ymin, xmax, ymax of its surroundings above half of its height over the breast."""
    probability: Probability
    """The calibrated score that the image would have if this peak were its highest."""


class Message(_Part):
    """One result as it is published."""

    schema_: Annotated[Literal["mammo.result/1"], Field(alias="schema")] = SCHEMA
    result_id: uuid.UUID | None
    """
    The same for the same bytes, bundle and generation, on any device and at any delivery; null only
    if image_id is.
    """
    image_id: Hash | None
    """SHA-256 of the received bytes; null only from `classify`, for a path that cannot be read."""
    seq: int | None
    """Grows by one with every result of this ledger; null from `classify`."""
    ledger_id: uuid.UUID | None
    """Changes when the device's ledger is rebuilt, and seq starts again."""
    supersedes: uuid.UUID | None
    """The result of the same image that this one replaces."""
    duplicate_of: int | None
    """seq of the first result of this outcome, if this submission is a repetition."""
    site: str | None
    device: str | None
    outcome: Literal["benign", "malignant", "indeterminate", "rejected"]
    score: Score | None
    """null if the image was rejected."""
    decision: DecisionPart | None
    domain: DomainPart | None = None
    """Absent if the image was rejected."""
    gate: GatePart
    image: ImagePart | None
    """null if the image could not be decoded."""
    source: SourcePart
    subject: SubjectPart | None = None
    model: ModelPart
    runtime: RuntimePart | None
    """null if no worker finished with the image."""
    timing_ms: TimingPart
    findings: list[FindingPart] | None = None
    """
    At most three, the highest first, whose probability is the score. Absent if the highest cell of
    the model's map is not its score.
    """
    heatmap: HeatMapPart | None = None
    completed_at: datetime
    notice: str = NOTICE


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a published result."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **on_one_line(Message.model_json_schema(by_alias=True, mode="serialization")),
        "title": SCHEMA,
    }


def on_one_line(schema: Any) -> Any:  # noqa: ANN401 - a JSON tree
    """Return a JSON schema whose descriptions have lost the line breaks of the source code."""
    if isinstance(schema, Mapping):
        return {
            key: " ".join(below.split())
            if key == "description" and isinstance(below, str)
            else on_one_line(below)
            for key, below in schema.items()
        }
    return [on_one_line(below) for below in schema] if isinstance(schema, list) else schema


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))  # noqa: T201 - this is the command
