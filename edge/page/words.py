"""Words and figures as the templates write them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from edge.cli.layout import shown
from edge.cli.status import span

MEANINGS: Final = {
    "domain-unmeasured": "no label: the model was not measured on mammograms of this kind",
    "domain-at-chance": "no label: on mammograms of this kind the model is no better than chance",
}
"""Sentences for the reasons to give no label."""
FLAGS: Final[Mapping[str, str]] = {
    "other-modality": "the header names another modality than mammography",
    "implant": "a breast with an implant",
    "implant-displaced": "an implant-displaced view",
    "partial-view": "a view of a part of the breast",
    "contrast": "a view with contrast medium",
    "synthesized": "synthesised from tomosynthesis",
    "burned-in-annotation": "text is burnt into the pixels",
    "for-processing": "raw detector data, made for processing and not for reading",
    "other-body-part": "the header names another part of the body",
    "unapplied-lut": "a lookup table of the header was not applied",
    "non-square-pixels": "pixels are not square",
}
"""Sentences for cautions from the header, by `Flag`."""


def safe(name: bytes) -> str:
    """Return a sender's file name in which no character hides or turns the direction."""
    return shown(name.decode("utf-8", "backslashreplace"))


def moment(published: str) -> str:
    """Return a published time as local time."""
    return f"{datetime.fromisoformat(published).astimezone():%Y-%m-%d %H:%M:%S}"


def clock(unix: float) -> str:
    """Return a Unix time as local time."""
    return f"{datetime.fromtimestamp(unix, UTC).astimezone():%Y-%m-%d %H:%M:%S}"


def ago(unix: float, now: float) -> str:
    """Return how long ago a Unix time is."""
    return span(max(0.0, now - unix))


def score(value: float | None) -> str:
    """Return a probability in three digits."""
    return "" if value is None else f"{value:.3f}"


def rate(measured: dict[str, Any]) -> str:
    """Return a measured number with its interval."""
    low, high = measured["interval_95"]
    return f"{measured['value']:.3f} ({low:.3f} to {high:.3f})"


def flag(name: str) -> str:
    """Return the sentence for a caution, or its name if a later release wrote it."""
    return FLAGS.get(name, name)
