"""
Messages over MQTT beside results, as models.

The daemon builds `status`, `health` and answers from these, and docs/reference/asyncapi.yaml has
their schemas.
"""

import json
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from edge.config.section import Level
from edge.contract.health_parts import DriftPart, ExamsPart, OutboxPart
from edge.contract.limits import NAME_BYTES
from edge.contract.receiver import ReceiverPart
from edge.contract.result import Hash
from edge.contract.worth import WorthPart
from edge.health import Cause, Phase

STATUS: Final = "mammo.status/1"
HEALTH: Final = "mammo.health/1"
ACK: Final = "mammo.ack/1"
REPLAY_AT_ONCE: Final = 10_000
"""The most results that one `replay` sends."""

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class _Sent(BaseModel):
    """A message that the device publishes, with these fields and no other."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class _Received(BaseModel):
    """A message that the device is sent; other fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class Online(_Sent):
    """The state of the device."""

    schema_: Literal["mammo.status/1"] = Field(alias="schema")
    status: Literal["online"]
    state: Phase
    reasons: list[str]
    """Sentences for people that say why the device is degraded."""
    reason_codes: list[Cause]
    """The code of each of `reasons`, in the same order."""
    warnings: list[str]
    """Sentences on the limits of this connection, because of its protocol."""
    protocol: Literal["5", "3.1.1"]
    version: str


class Offline(_Sent):
    """The device was stopped, or, by its last will, is gone."""

    schema_: Literal["mammo.status/1"] = Field(alias="schema")
    status: Literal["offline"]
    version: str


class BrokerPart(_Sent):
    """The connection to the broker."""

    connected: bool
    protocol: Literal["5", "3.1.1"]


class ModelPart(_Sent):
    """A model bundle."""

    name: str
    version: str
    bundle: Hash


class RuntimePart(_Sent):
    """The interpreter of the model."""

    backend: str
    fallback: bool
    threads: int


class QueuePart(_Sent):
    """Images by state, and results."""

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


class WatchesPart(_Sent):
    """Watches of inotify: those that the daemon has, and those that its user may have beyond."""

    used: Count
    free: Count | None


class InboxPart(_Sent):
    """The watched folder."""

    seen: Count
    """Files that were seen and not taken yet."""
    kept: Count
    """Files that were copied and stay for now, in case their senders go on."""
    watches: WatchesPart | None


class RequestsPart(_Sent):
    """Requests over MQTT that are no images in the queue yet."""

    in_memory: Count
    """Requests that were delivered and are not taken yet."""
    bytes: Count
    """Their bytes."""
    references: Count
    """Requests that name a file which is not there yet."""


class Health(_Sent):
    """Counters, queue, versions."""

    schema_: Literal["mammo.health/1"] = Field(alias="schema")
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
    requests: RequestsPart | None
    exams: ExamsPart | None
    receiver: ReceiverPart | None
    outbox: dict[str, OutboxPart]
    drift: DriftPart
    counters: dict[str, Count]


class Reference(_Received):
    """The name of a file in the inbox."""

    name: Annotated[str, Field(max_length=NAME_BYTES)]
    """The file's path, relative to the inbox."""
    sha256: Hash
    exam: Annotated[str, Field(min_length=1)] | None = None
    """The sender's reference of the exam that the image belongs to, at most 64 bytes in UTF-8."""


class Command(_Received):
    """A command without arguments."""


class Replay(_Received):
    """A command to send earlier results once more."""

    since: int | str
    """A sequence number, or a time in ISO 8601: only later results."""
    topic: Literal["result", "exam"] = "result"
    """`exam` asks for results of exams, by their own numbers."""
    limit: Annotated[int, Field(ge=1, le=REPLAY_AT_ONCE)] = REPLAY_AT_ONCE


class Activate(_Received):
    """A command to have an installed model serve."""

    bundle: str
    """The bundle's version, or the beginning of its id."""
    force: bool = False
    """Take it also if it was measured to be no better than chance."""


class Refusal(_Sent):
    """The answer to a command that was not obeyed."""

    schema_: Literal["mammo.ack/1"] = Field(alias="schema")
    command: str
    ok: Literal[False]
    error: str
    """A sentence."""


class Answer(BaseModel):
    """The answer to a command that was obeyed, with the fields of the control socket's answer."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    schema_: Literal["mammo.ack/1"] = Field(alias="schema")
    command: str
    ok: Literal[True]


class ReplayAnswer(Answer, extra="forbid"):
    """The number of results that will come."""

    results: Count
    last_seq: Count


class ReloadAnswer(Answer, extra="forbid"):
    """The model that serves now, and the sections of the configuration that changed."""

    bundle: Hash
    changed: list[str]
    """Sections of the configuration."""
    needs_restart: list[str]
    """Sections, or keys, that wait for a restart."""


class ModelAnswer(Answer, extra="forbid"):
    """The model that serves now, and the one before it."""

    bundle: Hash
    name: str
    version: str
    previous: str | None
    before: WorthPart
    """The model that served until now."""
    after: WorthPart


class Installed(_Sent):
    """A bundle of the device."""

    bundle: str
    """The bundle's id, or `shipped`."""
    name: str
    """The bundle's name, or why the bundle cannot be read."""
    version: str | None
    signed_by: str | None
    serves: Literal["now", "before"] | None


class ListAnswer(Answer, extra="forbid"):
    """The installed bundles."""

    models: list[Installed]


class Install(_Received):
    """A command to install a bundle, with one of two fields."""

    folder: str | None = None
    """The bundle's name in the folder that `[model] install_from` allows."""
    bundle: str | None = None
    """Version, id or beginning of the id of the bundle that `model/available` announces."""


class InstallAnswer(Answer, extra="forbid"):
    """The bundle that is installed now."""

    bundle: Hash
    name: str
    version: str


COMMANDS: dict[str, tuple[type[BaseModel], type[Answer]]] = {
    "replay": (Replay, ReplayAnswer),
    "reload": (Command, ReloadAnswer),
    "model/list": (Command, ListAnswer),
    "model/install": (Install, InstallAnswer),
    "model/activate": (Activate, ModelAnswer),
    "model/rollback": (Command, ModelAnswer),
}
"""Each command's own message, and its answer."""


def fields(message: BaseModel) -> dict[str, Any]:
    """Return a message as a JSON object, its fields in the order of its class."""
    return message.model_dump(mode="json", by_alias=True)


def encode(message: BaseModel) -> bytes:
    """Return a message as it is published: compact JSON in ASCII."""
    return json.dumps(fields(message), separators=(",", ":")).encode()
