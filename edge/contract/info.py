"""The retained message `info`: facts about a device that change seldom, and nobody's name."""

from datetime import datetime
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from edge.config.section import Level
from edge.contract.messages import ModelPart
from edge.contract.result import Hash
from edge.domain import Domain

SCHEMA: Final = "mammo.info/1"
SHIPPED: Final = "shipped"
"""Stands for the signature of the bundle that comes with the package."""
NONE: Final = "none"
"""Stands for a bundle whose signature nobody verified."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class AuditPart(_Part):
    """The head of the audit log, as `mammo-edge audit verify --head NUMBER:HASH` takes it."""

    number: Annotated[int, Field(ge=0, le=10**15)]
    """The number of the last entry; 0 for an empty log."""
    hash: Hash
    first: Annotated[int, Field(ge=1, le=10**15)] | None
    """The number of the oldest entry that is left; null if the log is empty or cannot be read."""


class ClockPart(_Part):
    """The device's clock, by which all times here are."""

    synchronised: bool | None
    """Set by systemd-timesyncd since the start; false for a date that cannot be; else null."""
    booted_at: datetime
    """The start of the machine."""
    started_at: datetime
    """The start of the daemon."""


class Info(_Part):
    """Versions, model, configuration, audit log and clock of a device."""

    schema_: Literal["mammo.info/1"] = Field(alias="schema")
    site: Level
    device: Level
    at: datetime
    """The time of this message, which is the time of the last change."""
    version: str
    python: str
    runtime: str
    """The distribution that runs the model, and its version."""
    model: ModelPart
    signature: Annotated[str, Field(pattern=r"^([0-9a-f]{16}|shipped|none)$")]
    """The id of the key by which the bundle was verified; or `shipped`, or `none`."""
    measured: list[Domain] | None
    """Domains that the model file was measured on; null if its manifest does not say."""
    configuration: Hash
    """SHA-256 of all settings, passwords left out."""
    audit: AuditPart
    clock: ClockPart
