"""The base of every configuration section, and the types that sections share."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]
LEVEL_LENGTH = 64
Level = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=LEVEL_LENGTH)]
"""One level of an MQTT topic: lower case, no wildcard, no slash."""


class Section(BaseModel):
    """A table of the TOML file; refuses unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
