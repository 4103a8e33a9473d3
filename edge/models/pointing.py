"""
The pointing game of a bundle: how often its map's highest point lay on the lesion.

`mammo-train` plays it on malignant test films and writes it into `bundle.json`.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import BaseModel, Field, ValidationError

from edge.errors import ConfigError
from edge.models.manifest import Manifest, Probability

LEAST: Final = 0.60
"""The least share of hits of a bundle whose maps are sent to people who did not ask for them."""
KEY: Final = "pointing"
"""The key of `scores` in `bundle.json`."""


class _Rim(BaseModel):
    hits: Probability


class _Played(BaseModel):
    films: Annotated[int, Field(gt=0)]
    with_tolerance: _Rim


@dataclass(frozen=True, slots=True)
class Pointing:
    """The share of hits, and the number of malignant films that it was measured on."""

    hits: float
    films: int

    @property
    def words(self) -> str:
        """The measurement as the end of a sentence."""
        return f"on the lesion of {self.hits:.1%} of {self.films} malignant test films"


def pointing_of(manifest: Manifest) -> Pointing | None:
    """Read how a bundle's map points; None if nobody measured it."""
    try:
        played = _Played.model_validate(manifest.scores.get(KEY))
    except ValidationError:
        return None
    return Pointing(played.with_tolerance.hits, played.films)


def demand_pointing(manifest: Manifest) -> Pointing:
    """
    Refuse maps of a bundle that point elsewhere too often.

    Raises:
        ConfigError: the text has what was found and what was expected.
    """
    found = pointing_of(manifest)
    if found is not None and found.hits >= LEAST:
        return found
    said = (
        f"bundle.json has no scores.{KEY}"
        if found is None
        else f"its map's highest point lay {found.words}"
    )
    msg = (
        f"pacs.map: {manifest.name} {manifest.version}: {said}, expected at least {LEAST:.0%}: "
        "remove the key, or let another bundle serve"
    )
    raise ConfigError(msg)
