"""A published result as a row of the page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge.page import words
from edge.storage.ledger.worklist import Published

SHORT = 8
"""Digits of an id that a row shows."""


@dataclass(frozen=True, slots=True)
class Row:
    """A result, ready to be shown."""

    said: Mapping[str, Any]
    """The message as it was published, but for the numbers of its map."""
    name: str
    """The sender's name for its file, or the beginning of its id."""

    @property
    def malignant(self) -> float | None:
        """The calibrated score; None if the image was rejected."""
        return self.said["score"]["malignant"] if self.said["score"] else None

    @property
    def view(self) -> str:
        """Laterality and view, as far as the header names them."""
        image = self.said.get("image") or {}
        return " ".join(filter(None, (image.get("laterality"), image.get("view"))))

    @property
    def kind(self) -> str:
        """Film or digital; empty if it is not known."""
        kind = (self.said.get("domain") or {}).get("kind", "")
        return "" if kind == "unknown" else str(kind)

    @property
    def has_map(self) -> bool:
        """True if the result has the model's map."""
        return bool(self.said.get("heatmap"))

    @property
    def withheld(self) -> str:
        """The reason why there is no label; empty if there is one."""
        return words.MEANINGS.get((self.said.get("decision") or {}).get("withheld") or "", "")

    @property
    def reasons(self) -> str:
        """The reasons for a rejection; empty for a scored image."""
        return "; ".join(self.said["gate"]["reasons"])


def row_of(published: Published, *, names: bool) -> Row:
    """
    Read a result.

    Args:
        published: the result.
        names: false shows no sender's file name.
    """
    said = json.loads(published.payload)
    if said.get("heatmap"):
        said["heatmap"]["values"] = None  # most of a result; a page has fifty
    return Row(said, words.safe(published.name) if names else said["image_id"][:SHORT])
