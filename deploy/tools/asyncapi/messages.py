"""
What goes over MQTT beside results, as models: the schemas of docs/reference/asyncapi.yaml. Tests
hold them against a real daemon.
"""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from edge.config.settings import Level
from edge.contract.result import Hash, Probability
from edge.daemon.control.handlers import REPLAY_AT_ONCE
from edge.health import Cause, Phase

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class _Said(BaseModel):
    """What the device publishes: these fields and no other."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class _Asked(BaseModel):
    """What the device is sent: other fields are not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class Online(_Said):
    """How the device is."""

    schema_: Annotated[Literal["mammo.status/1"], Field(alias="schema")]
    status: Literal["online"]
    state: Phase
    reasons: list[str]
    """Sentences for people that say why the device is degraded."""
    reason_codes: list[Cause]
    """The code of each of `reasons`, in the same order."""
    warnings: list[str]
    """What does not work by nature of the connection."""
    protocol: Literal["5", "3.1.1"]
    version: str


class Offline(_Said):
    """The device was stopped, or, by its last will, is gone."""

    schema_: Annotated[Literal["mammo.status/1"], Field(alias="schema")]
    status: Literal["offline"]
    version: str


class BrokerPart(_Said):
    """The connection to the broker."""

    connected: bool
    protocol: Literal["5", "3.1.1"]


class ModelPart(_Said):
    """Which model."""

    name: str
    version: str
    bundle: Hash


class RuntimePart(_Said):
    """What it runs on."""

    backend: str
    fallback: bool
    threads: int


class QueuePart(_Said):
    """Images by where they stand, and results."""

    ledger_id: UUID
    waiting: Count
    examining: Count
    to_archive: Count
    archived: Count
    oldest_waiting_s: Seconds | None
    scored: Count
    rejected: Count
    oldest_undelivered_s: Seconds | None
    last_seq: Count


class InboxPart(_Said):
    """The watched folder."""

    seen: Count
    """Files that were seen and not taken yet."""


class OutboxPart(_Said):
    """What a sink does not have yet."""

    waiting: Count
    held: Count
    """Refused by the broker."""


class DriftPart(_Said):
    """How far scores are from those the model was measured on."""

    images: Count
    index: float | None


class Health(_Said):
    """Counters, queue, versions."""

    schema_: Annotated[Literal["mammo.health/1"], Field(alias="schema")]
    site: Level
    device: Level
    state: Phase
    reasons: list[str]
    reason_codes: list[Cause]
    version: str
    uptime_s: Count
    broker: BrokerPart | None
    model: ModelPart
    runtime: RuntimePart
    queue: QueuePart
    inbox: InboxPart | None
    outbox: dict[str, OutboxPart]
    drift: DriftPart
    counters: dict[str, Count]


class ShadowPart(_Said):
    """One model's answer."""

    outcome: Literal["benign", "malignant", "indeterminate", "rejected"]
    malignant: Probability | None
    model: ModelPart


class ShadowResult(_Said):
    """What a second model would have said."""

    schema_: Annotated[Literal["mammo.shadow/1"], Field(alias="schema")]
    image_id: Hash
    agree: bool
    shadow: ShadowPart
    serving: ShadowPart


class Reference(_Asked):
    """Names a file in the inbox."""

    name: str
    """Its path, relative to the inbox."""
    sha256: Hash


class Command(_Asked):
    """A command that needs no words."""


class Replay(_Asked):
    """Earlier results once more."""

    since: int | str
    """A sequence number, or a time in ISO 8601: only later results."""
    limit: Annotated[int, Field(ge=1, le=REPLAY_AT_ONCE)] = REPLAY_AT_ONCE


class Activate(_Asked):
    """Have an installed model serve."""

    bundle: str
    """Its version, or the beginning of its id."""


class Refusal(_Said):
    """A command that was not obeyed."""

    schema_: Annotated[Literal["mammo.ack/1"], Field(alias="schema")]
    command: str
    ok: Literal[False]
    error: str
    """A sentence."""


class Answer(BaseModel):
    """A command that was obeyed, and what the control socket would have answered."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    schema_: Annotated[Literal["mammo.ack/1"], Field(alias="schema")]
    command: str
    ok: Literal[True]


class ReplayAnswer(Answer, extra="forbid"):
    """What will come."""

    results: Count
    last_seq: Count


class ReloadAnswer(Answer, extra="forbid"):
    """What serves now."""

    bundle: Hash
    changed: list[str]
    """Sections of the configuration."""
    needs_restart: list[str]
    """Those that a reload does not take."""


class ModelAnswer(Answer, extra="forbid"):
    """What serves now, and what served before."""

    bundle: Hash
    name: str
    version: str
    previous: str | None


class Installed(_Said):
    """One bundle of the device."""

    bundle: str
    """Its id, or `shipped`."""
    name: str
    """Or why it cannot be read."""
    version: str | None
    signed_by: str | None
    serves: Literal["now", "before"] | None


class ListAnswer(Answer, extra="forbid"):
    """What is installed."""

    models: list[Installed]


class Install(_Asked):
    """Have a bundle installed: one of the two."""

    folder: str | None = None
    """Its name in the folder that `[model] install_from` allows."""
    bundle: str | None = None
    """Version, id or beginning of the id of what `model/available` announces."""


class InstallAnswer(Answer, extra="forbid"):
    """What is installed now."""

    bundle: Hash
    name: str
    version: str


COMMANDS: dict[str, tuple[type[BaseModel], type[BaseModel]]] = {
    "replay": (Replay, ReplayAnswer),
    "reload": (Command, ReloadAnswer),
    "model/list": (Command, ListAnswer),
    "model/install": (Install, InstallAnswer),
    "model/activate": (Activate, ModelAnswer),
    "model/rollback": (Command, ModelAnswer),
}
"""What each command is sent, and what it answers; others are `Command` and `Answer`."""
