"""The base of every configuration section, and the types that sections share."""

import re
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
LEVEL: Final = r"[a-z0-9][a-z0-9_-]*"
LEVEL_LENGTH = 64
Level = Annotated[str, Field(pattern=rf"^{LEVEL}$", max_length=LEVEL_LENGTH)]
"""One level of an MQTT topic: lower case, no wildcard, no slash."""


def is_level(text: str) -> bool:
    """Tell if a text is one level of our topics, as a site's and a device's names are."""
    return len(text) <= LEVEL_LENGTH and re.fullmatch(LEVEL, text) is not None


def is_device(text: str) -> bool:
    """Tell if a text is `SITE/DEVICE`."""
    site, slash, device = text.partition("/")
    return slash == "/" and is_level(site) and is_level(device)


class Section(BaseModel):
    """A table of the TOML file; refuses unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
