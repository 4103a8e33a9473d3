"""
An exam's result out of the results of its images.

Everything that an exam says stands in the results that were published of its images, so it can be
made again from the ledger alone. Of the models that scored its images one counts: that which scored
the most of the four views, the later one of two equal. Of one SOP Instance UID the last image
counts, also if that was rejected. The order of arrival changes nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from edge.contract.exam import BreastPart, ExamScore, ViewPart
from edge.contract.exam_body import Body
from edge.contract.result import DecisionPart, ModelPart
from edge.domain import Decision
from edge.models.breasts import Breast, View, breasts_of, complete
from edge.models.manifest import ModelFile

TAKEN_BACK: Final[Mapping[str, str]] = {
    "several patients": "several patients: its images have several patients' IDs",
    "too many images": "too many images: more than an exam has",
    "no score": "no score: no view of it has a score any more",
}
"""The sentence for each reason to take an exam's result back."""
WORST: Final = ("malignant", "indeterminate", "benign")
"""The outcomes of breasts, the one first that an exam has if one of its breasts has it."""
PARTIAL: Final = "partial-view"
Key: TypeAlias = tuple[str, str]
"""A bundle's id and the file in it."""
ModelOf: TypeAlias = Callable[[Key], ModelFile | None]
"""Finds the facts of a model file; None if it makes no exams."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An image of an exam by its standing result."""

    message: Mapping[str, Any]
    """The result as it was published."""
    copy_of: str | None = field(default=None, repr=False)
    """The same for all images of one SOP Instance UID; None if the image has none."""

    @property
    def key(self) -> Key:
        """The model that examined it."""
        return self.message["model"]["bundle"], self.message["model"]["file"]

    @property
    def view(self) -> View | None:
        """The image as a view; None if it was rejected."""
        message = self.message
        if message["score"] is None:
            return None
        image, flags = message["image"], message["gate"].get("flags") or ()
        domain = (message.get("domain") or {}).get("kind", "unknown")
        return View(
            message["score"]["raw"],
            domain,
            image["laterality"],
            image["view"],
            PARTIAL in flags,
            self.copy_of,
        )


@dataclass(frozen=True, slots=True)
class _Scored:
    """The images that one model scored, and their breasts."""

    seen: Sequence[Seen]
    breasts: Sequence[Breast]
    pairs: int
    """Views that were averaged, 1 to 4."""
    complete: bool


def assemble(images: Sequence[Seen], model_of: ModelOf) -> Body | None:
    """
    Make an exam's result.

    Args:
        images: in their order of arrival.
        model_of: finds the facts of the models that scored them.

    Returns:
        None if no breast has a score.
    """
    standing = _standing(images)
    groups: dict[Key, list[Seen]] = {}
    for one in standing:
        groups.setdefault(one.key, []).append(one)
    found = [
        scored
        for key, seen in groups.items()
        if (model := model_of(key)) and (scored := _score(seen, model))
    ]
    if not found:
        return None
    place = {id(one): number for number, one in enumerate(standing)}
    chosen = max(found, key=lambda one: (one.pairs, place[id(one.seen[-1])]))
    return Body(_scored(chosen, images))


def rejected(reason: str) -> Body:
    """Make the result that takes an exam's earlier ones back, for a reason of TAKEN_BACK."""
    fields = {"outcome": "rejected", "reasons": [TAKEN_BACK[reason]], "score": None}
    return Body({**fields, "complete": False, "breasts": [], "views": [], "model": None})


def _standing(images: Sequence[Seen]) -> list[Seen]:
    """Leave out every image that a later one with the same SOP Instance UID replaces."""
    kept: dict[str, Seen] = {}
    for one in images:
        key = one.copy_of or one.message["image_id"]
        kept.pop(key, None)
        kept[key] = one
    return list(kept.values())


def _score(seen: Sequence[Seen], model: ModelFile) -> _Scored | None:
    views = [view for one in seen if (view := one.view)]
    breasts = breasts_of(views, model)
    pairs = sum(len(breast.mean.projections) for breast in breasts)
    whole = pairs == 4 and complete(views)  # noqa: PLR2004 - CC and MLO of both
    return _Scored(seen, breasts, pairs, whole) if breasts else None


def _scored(chosen: _Scored, images: Sequence[Seen]) -> dict[str, Any]:
    counted = {breast.laterality: _counted(breast, chosen.seen) for breast in chosen.breasts}
    parts = [_breast(breast, counted[breast.laterality]) for breast in chosen.breasts]
    scores = [part.malignant for part in parts]
    higher = parts[scores.index(max(scores))]
    score = ExamScore(malignant=higher.malignant, laterality=higher.laterality)
    places = {one.message["image_id"]: one.view for seen in counted.values() for one in seen}
    return {
        "outcome": min((part.outcome for part in parts), key=WORST.index),
        "reasons": [],
        "score": score.model_dump(mode="json"),
        "complete": chosen.complete,
        "breasts": [part.model_dump(mode="json") for part in parts],
        "views": _views(images, places),
        "model": ModelPart(**chosen.seen[-1].message["model"]).model_dump(mode="json"),
    }


def _counted(breast: Breast, seen: Sequence[Seen]) -> list[Seen]:
    """List the images that were averaged for a breast."""
    return [
        one
        for one in seen
        if (view := one.view) and view.projection and view.laterality == breast.laterality
    ]


def _breast(breast: Breast, seen: Sequence[Seen]) -> BreastPart:
    said = [one.message["decision"] for one in seen]
    name = said[-1]["operating_point"]
    point = breast.fit.operating_points[name]
    withheld = next((one["withheld"] for one in said if one.get("withheld")), None)
    decision = Decision(name, point.threshold, point.band_low, point.band_high)
    return BreastPart(
        laterality=breast.laterality,
        outcome="indeterminate" if withheld else decision.label(breast.malignant),
        malignant=breast.malignant,
        logit=breast.mean.logit,
        views=list(breast.mean.projections),
        domain=breast.mean.domain,
        decision=DecisionPart(
            operating_point=name,
            threshold=point.threshold,
            band=(point.band_low, point.band_high),
            withheld=withheld,
        ),
    )


def _views(images: Sequence[Seen], counted: Mapping[str, View | None]) -> list[dict[str, Any]]:
    parts = [_view(one.message, counted.get(one.message["image_id"])) for one in images]
    parts.sort(key=lambda part: (part["laterality"] or "", part["view"] or "", part["image_id"]))
    return parts


def _view(message: Mapping[str, Any], counted: View | None) -> dict[str, Any]:
    image, score = message["image"] or {}, message["score"] or {}
    return ViewPart(
        image_id=message["image_id"],
        result_id=message["result_id"],
        laterality=image.get("laterality"),
        view=image.get("view"),
        counts_as=counted and counted.projection,
        outcome=message["outcome"],
        malignant=score.get("malignant"),
    ).model_dump(mode="json")
