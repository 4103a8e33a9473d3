"""
Outcome -> the JSON that is published, and its JSON Schema. `python -m edge.contract.result` prints
the schema.
"""

import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge import NOTICE
from edge.domain import Flag, ImageFacts, Numbering, Outcome, Rejection, Result
from edge.models.bundle import Bundle

SCHEMA: Final = "mammo.result/1"
NAMESPACE: Final = uuid.UUID("6f6d1c1e-3a6b-5d0f-9f0a-6d616d6d6f31")
"""
Under which result ids are made; the same on every device, so that the same bytes get the same id
everywhere.
"""

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
    """How the score became an outcome."""

    operating_point: str
    threshold: Probability
    band: tuple[Probability, Probability]
    """Scores from the first up to, not including, the second are `indeterminate`."""


class GatePart(_Part):
    """Whether the input was fit to be scored."""

    passed: bool
    reasons: list[str]
    """Why not, each `<reason>: <detail>`."""
    flags: list[Flag] | None = None
    """
    What the DICOM header says that calls for caution, though there is a score; absent where there
    is nothing.
    """


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


class SourcePart(_Part):
    """How this submission came."""

    kind: Literal["folder", "mqtt", "retry", "file"]
    received_at: datetime


class SubjectPart(_Part):
    """
    Keyed hashes that link results of one object or exam without naming it; absent unless a key is
    configured.
    """

    image: Hash
    """HMAC-SHA256 of the SOP Instance UID."""
    exam: Hash
    """HMAC-SHA256 of the Study Instance UID."""


class ModelPart(_Part):
    """What computed the score, to the byte."""

    name: str
    version: str
    bundle: Hash
    file: str
    sha256: Hash
    preprocess: Hash
    quantization: str


class RuntimePart(_Part):
    """Where it was computed."""

    backend: str
    fallback: bool
    threads: int


class TimingPart(_Part):
    """Milliseconds; `wait` from arrival to the worker, `total` from arrival to the outcome."""

    wait: Milliseconds
    decode: Milliseconds
    prepare: Milliseconds
    infer: Milliseconds
    total: Milliseconds


class HeatMapPart(_Part):
    """
    Logits on a grid over a box of the original image, rows from top to bottom; their weight in the
    score, not a diagnosis.
    """

    values: list[list[float]]
    box: tuple[float, float, float, float]
    """xmin, ymin, xmax, ymax in original pixels, origin top left."""


class Message(_Part):
    """One result as it is published."""

    schema_: Annotated[Literal["mammo.result/1"], Field(alias="schema")] = SCHEMA
    result_id: uuid.UUID | None
    """
    The same for the same bytes, bundle and generation, on any device and at any re-delivery; null
    only where image_id is.
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
    """seq of the first result of this outcome, where this submission is a repetition."""
    site: str | None
    device: str | None
    outcome: Literal["benign", "malignant", "indeterminate", "rejected"]
    score: Score | None
    """null where the image was rejected."""
    decision: DecisionPart | None
    gate: GatePart
    image: ImagePart | None
    """null where it could not be decoded."""
    source: SourcePart
    subject: SubjectPart | None = None
    model: ModelPart
    runtime: RuntimePart | None
    """null where no worker finished with the image."""
    timing_ms: TimingPart
    heatmap: HeatMapPart | None = None
    completed_at: datetime
    notice: str = NOTICE


@dataclass(frozen=True, slots=True)
class Sender:
    """Who publishes, and what it may tell."""

    site: str | None = None
    device: str | None = None
    subject_key: bytes | None = None
    heatmap: bool = True


@dataclass(frozen=True, slots=True)
class Occasion:
    """One examination of one image."""

    image_id: str | None
    """None where there are no bytes."""
    generation: int
    received_at: float
    """Unix time in seconds, as are the others."""
    started_at: float
    """When a worker took it."""
    completed_at: float


def result_id(image_id: str, bundle: Bundle, generation: int) -> str:
    """UUIDv5 of the image, the bundle, the preprocessing and the generation."""
    return name_result(image_id, bundle.bundle_id, bundle.preprocess_id, generation)


def name_result(image_id: str, bundle_id: str, preprocess_id: str, generation: int) -> str:
    """See `result_id`, where there is no bundle to ask."""
    return str(uuid.uuid5(NAMESPACE, f"{image_id}/{bundle_id}/{preprocess_id}/{generation}"))


def render(
    outcome: Outcome,
    occasion: Occasion,
    bundle: Bundle,
    sender: Sender,
    numbering: Numbering | None = None,
) -> dict[str, Any]:
    """
    The message of a fresh outcome, ready for `encode`.

    Args:
        outcome: what became of the image.
        occasion: which image, when.
        bundle: the bundle that examined it.
        sender: who publishes.
        numbering: what the ledger gave; None outside a daemon.
    """
    file = outcome.runtime.file if outcome.runtime else bundle.manifest.default_model
    message = Message(
        result_id=uuid.UUID(result_id(occasion.image_id, bundle, occasion.generation))
        if occasion.image_id
        else None,
        image_id=occasion.image_id,
        seq=numbering.seq if numbering else None,
        ledger_id=uuid.UUID(numbering.ledger_id) if numbering else None,
        supersedes=uuid.UUID(numbering.supersedes) if numbering and numbering.supersedes else None,
        duplicate_of=numbering.duplicate_of if numbering else None,
        site=sender.site,
        device=sender.device,
        image=_image(outcome.facts) if outcome.facts else None,
        source=SourcePart(
            kind=numbering.source if numbering else "file", received_at=_time(occasion.received_at)
        ),
        subject=_subject(outcome, sender.subject_key),
        model=_model(bundle, file),
        runtime=_runtime(outcome),
        timing_ms=_timing(outcome, occasion),
        completed_at=_time(occasion.completed_at),
        **_verdict(outcome, heatmap=sender.heatmap),
    )
    return _dump(message)


def encode(message: Mapping[str, Any]) -> bytes:
    """Compact JSON, UTF-8."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def readdress(payload: bytes, numbering: Numbering) -> bytes:
    """
    A known outcome as the answer to another submission: same result id, its own seq and source.
    """
    message = json.loads(payload)
    message["seq"] = numbering.seq
    message["ledger_id"] = numbering.ledger_id
    message["duplicate_of"] = numbering.duplicate_of
    message["source"] = {
        "kind": numbering.source,
        "received_at": _time(numbering.received_at).isoformat().replace("+00:00", "Z"),
    }
    return encode(message)


def without_heatmap(payload: bytes) -> bytes:
    """The same result, smaller."""
    message = json.loads(payload)
    message.pop("heatmap", None)
    return encode(message)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a published result."""
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


def _dump(message: Message) -> dict[str, Any]:
    dumped = message.model_dump(mode="json", by_alias=True)
    for optional in ("subject", "heatmap"):
        if dumped[optional] is None:
            del dumped[optional]
    if dumped["gate"]["flags"] is None:
        del dumped["gate"]["flags"]
    return dumped


def _image(facts: ImageFacts) -> ImagePart:
    fields = asdict(facts)
    del fields["flags"]  # stand in `gate`
    return ImagePart(**fields)


def _verdict(outcome: Outcome, *, heatmap: bool) -> dict[str, Any]:
    if isinstance(outcome, Rejection):
        gate = GatePart(passed=False, reasons=[outcome.text], flags=_flags(outcome))
        return {"outcome": "rejected", "score": None, "decision": None, "gate": gate}
    prediction = outcome.prediction
    decision = prediction.decision
    return {
        "outcome": prediction.label,
        "score": Score(malignant=prediction.malignant, raw=prediction.raw),
        "decision": DecisionPart(
            operating_point=decision.operating_point,
            threshold=decision.threshold,
            band=(decision.band_low, decision.band_high),
        ),
        "gate": GatePart(passed=True, reasons=[], flags=_flags(outcome)),
        "heatmap": _heatmap(outcome) if heatmap else None,
    }


def _flags(outcome: Outcome) -> list[Flag] | None:
    return list(outcome.facts.flags) or None if outcome.facts else None


def _heatmap(outcome: Result) -> HeatMapPart | None:
    heatmap = outcome.prediction.heatmap
    if heatmap is None:
        return None
    box = heatmap.box
    values = [[round(value, 3) for value in row] for row in heatmap.values]
    return HeatMapPart(values=values, box=(box.xmin, box.ymin, box.xmax, box.ymax))


def _model(bundle: Bundle, file: str) -> ModelPart:
    manifest = bundle.manifest
    return ModelPart(
        name=manifest.name,
        version=manifest.version,
        bundle=bundle.bundle_id,
        file=file,
        sha256=manifest.files[file],
        preprocess=bundle.preprocess_id,
        quantization=manifest.model_of(file).quantization,
    )


def _runtime(outcome: Outcome) -> RuntimePart | None:
    runtime = outcome.runtime
    return (
        RuntimePart(backend=runtime.backend, fallback=runtime.fallback, threads=runtime.threads)
        if runtime
        else None
    )


def _subject(outcome: Outcome, key: bytes | None) -> SubjectPart | None:
    identity = outcome.identity
    if key is None or identity is None:
        return None
    sop, study = (
        hmac.digest(key, uid.encode(), "sha256").hex()
        for uid in (identity.sop_instance_uid, identity.study_instance_uid)
    )
    return SubjectPart(image=sop, exam=study)


def _timing(outcome: Outcome, occasion: Occasion) -> TimingPart:
    steps = {name: round(value, 3) for name, value in asdict(outcome.timing).items()}
    wait = _elapsed_ms(occasion.received_at, occasion.started_at)
    return TimingPart(
        wait=wait, total=_elapsed_ms(occasion.received_at, occasion.completed_at), **steps
    )


def _elapsed_ms(start: float, end: float) -> float:
    return round(max(0.0, end - start) * 1000, 3)  # a clock that is set back makes no negative time


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))  # noqa: T201 - this is the command
