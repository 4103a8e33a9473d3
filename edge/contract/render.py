"""The result that is published: from an outcome to JSON, and from one submission to another."""

import hmac
import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from edge.contract.result import (
    DecisionPart,
    DomainPart,
    FindingPart,
    GatePart,
    HeatMapPart,
    ImagePart,
    Message,
    ModelPart,
    RuntimePart,
    Score,
    SourcePart,
    SubjectPart,
    TimingPart,
)
from edge.domain import Finding, Flag, ImageFacts, Numbering, Origin, Outcome, Rejection, Result
from edge.models.bundle import Bundle

NAMESPACE: Final = uuid.UUID("6f6d1c1e-3a6b-5d0f-9f0a-6d616d6d6f31")
"""The namespace of result ids, the same on every device: the same bytes get the same id."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The device that publishes, and the parts it may publish."""

    site: str | None = None
    device: str | None = None
    subject_key: bytes | None = None
    heatmap: bool = True
    ledger_key: bytes = b""
    """The key of pseudonyms that stay in the ledger."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """One examination of one image."""

    image_id: str | None
    """None if there are no bytes."""
    generation: int
    received_at: float
    completed_at: float
    """Unix times, in seconds: they do not tell how long it took, as a clock may be set between."""
    wait_s: float
    """Seconds from its arrival until a worker took it."""
    total_s: float
    """Seconds from its arrival to the outcome."""


def result_id(image_id: str, bundle: Bundle, generation: int) -> str:
    """Return the UUIDv5 of the image, the bundle, the preprocessing and the generation."""
    return name_result(image_id, bundle.bundle_id, bundle.preprocess_id, generation)


def name_result(image_id: str, bundle_id: str, preprocess_id: str, generation: int) -> str:
    """Return the same as `result_id`, for a bundle that is known by its ids alone."""
    return str(uuid.uuid5(NAMESPACE, f"{image_id}/{bundle_id}/{preprocess_id}/{generation}"))


def render(
    outcome: Outcome,
    occasion: Occasion,
    bundle: Bundle,
    sender: Sender,
    numbering: Numbering | None = None,
) -> dict[str, Any]:
    """
    Return the message of a fresh outcome, ready for `encode`.

    Args:
        outcome: the result or rejection of the image.
        occasion: the image, and the times of its examination.
        bundle: the bundle that examined it.
        sender: the device that publishes.
        numbering: the ledger's number and ids; None outside a daemon.
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
    """Return a message as compact JSON in UTF-8."""
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()


def readdress(payload: bytes, numbering: Numbering) -> bytes:
    """
    Return a known outcome as the answer to another submission.

    The result id stays; sequence number and source are those of the submission.
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
    """Return the same result without its heat map."""
    message = json.loads(payload)
    message.pop("heatmap", None)
    return encode(message)


def _dump(message: Message) -> dict[str, Any]:
    dumped = message.model_dump(mode="json", by_alias=True)
    for optional in ("subject", "domain", "findings", "heatmap"):
        if dumped[optional] is None:
            del dumped[optional]
    for part, optional in (("gate", "flags"), ("decision", "withheld")):
        if dumped[part] and dumped[part][optional] is None:
            del dumped[part][optional]
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
            withheld=prediction.withheld,
        ),
        "domain": _domain(prediction.origin),
        "findings": _findings(prediction.findings),
        "gate": GatePart(passed=True, reasons=[], flags=_flags(outcome)),
        "heatmap": _heatmap(outcome) if heatmap else None,
    }


def _flags(outcome: Outcome) -> list[Flag] | None:
    return list(outcome.facts.flags) or None if outcome.facts else None


def _domain(origin: Origin | None) -> DomainPart | None:
    if origin is None:
        return None
    return DomainPart(kind=origin.domain, known_by=origin.known_by, measured=origin.measured)


def _findings(findings: tuple[Finding, ...] | None) -> list[FindingPart] | None:
    if findings is None:
        return None
    return [
        FindingPart(
            x=round(found.x, 1),
            y=round(found.y, 1),
            box=tuple(round(side, 1) for side in astuple(found.box)),
            probability=found.probability,
        )
        for found in findings
    ]


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
    wait, total = (round(seconds * 1000, 3) for seconds in (occasion.wait_s, occasion.total_s))
    return TimingPart(wait=wait, total=total, **steps)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
