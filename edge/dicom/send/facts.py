"""From a published result, of an exam or of one image, to what its report says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

Payload: TypeAlias = Mapping[str, Any]
"""A published message, as JSON; those of earlier releases may lack a field."""
KINDS: Final[Mapping[str, str]] = {
    "film": "film, digitised",
    "digital": "digital mammography",
    "unknown": "unknown",
}
MEASURED: Final[Mapping[bool | None, str]] = {True: "yes", False: "no", None: "not stated"}
SIDES: Final[Mapping[str | None, str]] = {"L": "left", "R": "right", None: "side unknown"}


@dataclass(frozen=True, slots=True)
class Group:
    """The score of one image, or of the two views of one breast."""

    label: str
    """Side and views, in words."""
    laterality: str | None
    view: str | None
    """None of a breast, which has two."""
    image_ids: tuple[str, ...]
    malignant: float
    """Calibrated probability of malignancy, 0 to 1."""
    outcome: str
    operating_point: str
    domain: str
    measured: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a report says but for the patient, the study and the images' names."""

    result_id: str
    supersedes: str | None
    ledger_id: str
    subject: str
    """The exam's id, or the image's."""
    revision: int
    device: str
    completed_at: datetime
    outcome: str
    complete: bool
    """False for an exam without scores of CC and MLO of both breasts."""
    reasons: tuple[str, ...]
    model: Mapping[str, str] | None
    """None of a result that takes an earlier one back."""
    groups: tuple[Group, ...]


def facts_of(result: Payload, of_images: Mapping[str, Payload]) -> Facts:
    """
    Read a result.

    Args:
        result: of an exam or an image.
        of_images: the results of an exam's images that have a score, by their ids.

    Raises:
        KeyError: a field is missing.
    """
    if "exam_id" not in result:
        scored = result["score"] is not None
        alone = (_image(result),) if scored else ()
        return _facts(result, result["image_id"], alone, result["gate"]["reasons"])
    groups = tuple(_breast(one, result, of_images) for one in result["breasts"])
    seen = (view["result_id"] for view in result["views"] if view["malignant"] is not None)
    groups += tuple(_image(of_images[one]) for one in seen)
    return _facts(result, result["exam_id"], groups, result["reasons"])


def _facts(result: Payload, subject: str, groups: tuple[Group, ...], reasons: list[str]) -> Facts:
    return Facts(
        result["result_id"],
        result["supersedes"],
        result["ledger_id"],
        subject,
        result.get("revision", 1),
        f"{result['site']}/{result['device']}",
        datetime.fromisoformat(result["completed_at"]).astimezone(UTC),
        result["outcome"],
        result.get("complete", True),
        () if groups else tuple(reasons),
        result["model"] if groups else None,
        groups,
    )


def _breast(breast: Payload, exam: Payload, of_images: Mapping[str, Payload]) -> Group:
    of_it = [
        view
        for view in exam["views"]
        if view["laterality"] == breast["laterality"] and view["counts_as"] is not None
    ]
    domains = [of_images[view["result_id"]].get("domain") or {} for view in of_it]
    measured = {one.get("measured") for one in domains}
    return Group(
        f"{SIDES[breast['laterality']]} breast, {' and '.join(breast['views'])}",
        breast["laterality"],
        None,
        tuple(view["image_id"] for view in of_it),
        breast["malignant"],
        breast["outcome"],
        _operating_point(breast["decision"]),
        KINDS.get(breast["domain"], breast["domain"]),
        MEASURED[measured.pop() if len(measured) == 1 else None],
    )


def _image(result: Payload) -> Group:
    image, domain = result["image"] or {}, result.get("domain") or {}
    side, view = image.get("laterality"), image.get("view")
    kind = domain.get("kind", "unknown")
    return Group(
        f"image, {SIDES.get(side, SIDES[None])}, {view or 'view unknown'}",
        side,
        view,
        (result["image_id"],),
        result["score"]["malignant"],
        result["outcome"],
        _operating_point(result["decision"]),
        KINDS.get(kind, kind),
        MEASURED[domain.get("measured")],
    )


def _operating_point(decision: Payload) -> str:
    low, high = decision["band"]
    said = f"{decision['operating_point']}: malignant from {decision['threshold']:.4f}"
    if high > low:
        said += f", indeterminate from {low:.4f} to below {high:.4f}"
    if decision.get("withheld"):
        said += f"; indeterminate whatever the score: {decision['withheld']}"
    return said
