"""A published result as a row of the page."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.config.settings import Settings
from edge.page import words
from edge.storage.ledger.worklist import Published
from edge.storage.pictures import PICTURE, find

SHORT = 8
"""Digits of an id that a row shows."""


@dataclass(frozen=True, slots=True)
class Row:
    """A result, ready to be shown."""

    said: Mapping[str, Any]
    """The message as it was published, but for the numbers of its map."""
    name: str
    """The sender's name for its file, or the beginning of its id."""
    has_picture: bool = False
    """True if a worker drew the image."""

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


def row_of(published: Published, settings: Settings) -> Row:
    """
    Read a result.

    Args:
        published: the result.
        settings: say if senders' file names and pictures are shown, and where pictures lie.
    """
    said = json.loads(published.payload)
    if said.get("heatmap"):
        said["heatmap"]["values"] = None  # most of a result; a page has fifty
    name = words.safe(published.name) if settings.page.names else said["image_id"][:SHORT]
    return Row(said, name, picture_of(said, settings) is not None)


def picture_of(said: Mapping[str, Any], settings: Settings, ending: str = PICTURE) -> Path | None:
    """Find the picture of a published result; None if there is none, or none is wanted."""
    if not settings.page.pictures:
        return None
    return find(settings.state.path, said["image_id"], said["result_id"], ending)
