"""
The messages of other devices, verified.

Whoever may write to the broker may have written them. Fields that a newer release added are
ignored; messages of an older one lack some.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edge.config.section import Level, is_device
from edge.contract.health_parts import Histogram
from edge.contract.info import AuditPart, ClockPart, Info
from edge.contract.messages import ModelPart, fields

LARGEST: Final = 65_536
"""The most bytes of a message that is looked at."""


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class SaidStatus(_Said):
    """`status`, as far as it is shown."""

    schema_: Literal["mammo.status/1"] = Field(alias="schema")
    status: Literal["online", "offline"]
    state: str | None = None
    reasons: list[str] = []
    version: str


class SaidModel(ModelPart, extra="ignore"):
    """A model bundle."""


class SaidAudit(AuditPart, extra="ignore"):
    """The head of the audit log, and the oldest entry but for releases that did not send it."""

    first: Annotated[int, Field(ge=1, le=10**15)] | None = None


class SaidClock(ClockPart, extra="ignore"):
    """The device's clock."""


class SaidInfo(Info, extra="ignore"):
    """`info`, perhaps of a newer release."""

    model: SaidModel
    audit: SaidAudit
    clock: SaidClock


class SaidDrift(_Said):
    """The scores behind the drift index; without counts from releases that did not send them."""

    images: Annotated[int, Field(ge=0)]
    counts: Histogram | None = None
    reference: Histogram | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if (self.counts is None) != (self.reference is None):
            msg = "counts and reference belong together: found one of them"
            raise ValueError(msg)
        if self.counts is not None and (found := sum(self.counts)) != self.images:
            msg = f"counts add up to {found}, expected {self.images}, the number of images"
            raise ValueError(msg)
        return self


class SaidHealth(_Said):
    """`health`, as far as it is added up."""

    schema_: Literal["mammo.health/1"] = Field(alias="schema")
    site: Level
    device: Level
    model: SaidModel
    drift: SaidDrift | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A device and its messages; None for one that did not come or is malformed."""

    name: str
    """`SITE/NAME`, of its topics; any text if a stranger chose it."""
    status: SaidStatus | None = None
    info: SaidInfo | None = None
    health: SaidHealth | None = None
    malformed: Mapping[str, str] = field(default_factory=dict)
    """By kind: the reasons for which a message is not what its schema says."""

    def as_json(self) -> dict[str, Any]:
        """Return all that it said."""
        said = {"status": self.status, "info": self.info, "health": self.health}
        shown = {kind: None if one is None else fields(one) for kind, one in said.items()}
        return {"device": self.name, **shown, "malformed": dict(self.malformed)}


KINDS: Final[Mapping[str, type[SaidStatus] | type[SaidInfo] | type[SaidHealth]]] = {
    "status": SaidStatus,
    "info": SaidInfo,
    "health": SaidHealth,
}


def devices_of(payloads: Mapping[str, Mapping[str, bytes]]) -> list[Device]:
    """Verify the messages of each device, by kind; the devices are sorted by name."""
    return [_device(name, said) for name, said in sorted(payloads.items()) if said]


def _device(name: str, said: Mapping[str, bytes]) -> Device:
    if not is_device(name):
        return Device(name, malformed=dict.fromkeys(said, "its topic names no device"))
    found: dict[str, Any] = {}
    malformed = {}
    for kind, payload in said.items():
        try:
            found[kind] = _read(kind, name, payload)
        except ValueError as error:
            malformed[kind] = _why(error)
    return Device(name, malformed=malformed, **found)


def _read(kind: str, name: str, payload: bytes) -> BaseModel:
    if len(payload) > LARGEST:
        msg = f"{len(payload)} bytes, expected {LARGEST} at most"
        raise ValueError(msg)
    message = KINDS[kind].model_validate_json(payload)
    if not isinstance(message, SaidStatus) and (own := f"{message.site}/{message.device}") != name:
        msg = f"it says that it is of {own}"
        raise ValueError(msg)
    return message


def _why(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or "the whole of it"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
