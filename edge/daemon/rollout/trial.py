"""
The trial of a newly activated model, which may be worse than the one before.

A trial only counts; others act on it.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from edge.daemon.workers.verdict import Died, Verdict
from edge.domain import Rejection, Result
from edge.errors import Reason

FAILURES: Final = 2
"""Different images without a score that are the model's fault: one may be the image's own."""
MOST: Final = 0.8
"""
Share of all its first images that counts against it, if fewer than half did before.

By chance that happens in 0.6 % of trials of 20 images at worst.
"""
BEFORE: Final = 0.5
LEAST: Final = 10
"""With fewer images on trial, or in the past, no share is looked at."""
PAST: Final = 100
"""Results of former models that are compared."""

Mark: TypeAlias = Literal["failed", "refused", "undecided"]
"""A fault of a model: no score at all, `not a mammogram`, or `indeterminate`."""


@dataclass(frozen=True, slots=True)
class Past:
    """The outcomes of the last images under former models."""

    images: int = 0
    refused: int = 0
    undecided: int = 0

    def rare(self, mark: Mark) -> bool:
        """Tell if this happened to fewer than half of them; False if too few are known."""
        count = {"refused": self.refused, "undecided": self.undecided}.get(mark, 0)
        return self.images >= LEAST and count < BEFORE * self.images


class Trial:
    """
    Counts what becomes of a new model's first images.

    Args:
        bundle_id: whose.
        images: how many; with 0 it is over before it begins.
        past: with which it is compared.
    """

    def __init__(self, bundle_id: str, images: int, past: Past) -> None:
        self.bundle_id = bundle_id
        self.against: dict[str, Mark] = {}
        """Images that have no decision of this model, and its fault."""
        self._images = images
        self._past = past
        self._seen = 0
        self._failed: set[str] = set()
        self._marks: Counter[Mark] = Counter()

    @property
    def over(self) -> bool:
        """True if it has had its images."""
        return self._seen >= self._images

    def note(self, image_id: str, verdict: Verdict) -> str | None:
        """
        Count one examination; none after the trial is over.

        Returns:
            Why the model has failed the trial, a sentence; None while it has not.
        """
        if self.over:
            return None
        self.hold_against(image_id, verdict)
        if isinstance(verdict, Died):
            self._failed.add(image_id)
            return (
                f"{FAILURES} of its first images got no score ({verdict.why})"
                if len(self._failed) >= FAILURES
                else None
            )
        if not isinstance(verdict, Result | Rejection):
            return None
        self._seen += 1
        mark = _mark(verdict)
        if mark is None:
            return None
        self._marks[mark] += 1
        return self._improbable(mark)

    def hold_against(self, image_id: str, verdict: Verdict) -> None:
        """Remember an image that got no decision, forget one that has got it."""
        mark = _mark(verdict)
        if mark is not None:
            self.against[image_id] = mark
        elif isinstance(verdict, Result | Rejection):
            self.against.pop(image_id, None)

    def _improbable(self, mark: Mark) -> str | None:
        if (
            self._images < LEAST
            or self._marks[mark] < math.ceil(MOST * self._images)
            or not self._past.rare(mark)
        ):
            return None
        word = {"refused": "were refused as no mammograms", "undecided": "were indeterminate"}[mark]
        before = self._past.refused if mark == "refused" else self._past.undecided
        return (
            f"{self._marks[mark]} of its first {self._seen} images {word}, "
            f"{before} of {self._past.images} before"
        )


def _mark(verdict: Verdict) -> Mark | None:
    match verdict:
        case Died():
            return "failed"
        case Rejection(reason=Reason.NOT_A_MAMMOGRAM):
            return "refused"
        case Result(prediction=prediction) if prediction.withheld is not None:
            return None  # it says what it was not measured on, which is no fault
        case Result(prediction=prediction) if prediction.label == "indeterminate":
            return "undecided"
        case _:
            return None


def past_of(payloads: Iterable[bytes], bundle_id: str) -> Past:
    """
    Count the outcomes of the last images under other models than this one.

    Args:
        payloads: published results, the oldest first.
        bundle_id: of the new model.
    """
    messages: list[dict[str, Any]] = [json.loads(payload) for payload in payloads]
    former = [
        message
        for message in messages
        if message["model"]["bundle"] != bundle_id and message["duplicate_of"] is None
    ][-PAST:]
    refused = sum(_is_refusal(message) for message in former)
    return Past(len(former), refused, sum(map(_is_undecided, former)))


def _is_undecided(message: dict[str, Any]) -> bool:
    withheld = "withheld" in (message.get("decision") or {})
    return message["outcome"] == "indeterminate" and not withheld


def _is_refusal(message: dict[str, Any]) -> bool:
    return any(
        reason.startswith(f"{Reason.NOT_A_MAMMOGRAM}:") for reason in message["gate"]["reasons"]
    )
