"""
The counts of the DICOM receiver: as it writes them down for the daemon, and as `health` has them.

A cause is published and keeps its meaning.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from edge.contract.result import Hash

Count = Annotated[int, Field(ge=0, le=2**53)]


class Refused(StrEnum):
    """Causes for which an object is refused; its sender is told to try again later."""

    NO_ROOM = "no_room"
    """The disk of the inbox has less room than `[spool] min_free_mb`."""
    INBOX_FULL = "inbox_full"
    """As many files wait in the inbox as `[spool] max_waiting`."""
    INBOX_REPLACED = "inbox_replaced"
    """The inbox is another folder than at the receiver's start."""
    DISK_ERROR = "disk_error"
    """The disk of the inbox refuses."""
    GIVEN_UP = "given_up"
    """The association was aborted before the object was in the inbox."""


class TurnedAway(StrEnum):
    """Causes for which a connection or an association is refused."""

    NO_CALLERS = "no_callers"
    """No caller is configured."""
    UNKNOWN_ADDRESS = "unknown_address"
    """The address is in no caller's network."""
    CALLING_TITLE = "calling_title"
    """No caller has this AE title and network."""
    CALLED_TITLE = "called_title"
    """The sender calls another AE title than ours."""
    NO_CERTIFICATE = "no_certificate"
    """No TLS, or no certificate of the authority."""
    TOO_OFTEN = "too_often"
    """The address opened more connections in a minute than it may."""
    TOO_MANY = "too_many"
    """As many associations are open as may be."""
    FAILED = "failed"
    """The connection broke at its beginning, or got no thread."""


class Aborted(StrEnum):
    """Causes for which an association ends before its time."""

    PROTOCOL = "protocol"
    """The sender breaks the protocol."""
    OBJECT_TOO_LARGE = "object_too_large"
    """An object is larger than `[worker] max_file_mb`."""
    TOO_SLOW = "too_slow"
    """A PDU, an object or the association took too long."""
    SENDER_GONE = "sender_gone"
    """The sender went, or fell silent, amid an object."""
    FAILED = "failed"
    """The receiver failed at what was sent."""


Cause: TypeAlias = Refused | TurnedAway | Aborted


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class _Counts(_Part):
    """Counts of what came to a receiver; causes that never came are left out."""

    last_taken_at: datetime | None = None
    """The time of the last object that was taken."""
    taken: Count = 0
    """Objects that were put into the inbox."""
    refused: dict[Refused, Count] = {}
    """Objects that were refused, by cause."""
    turned_away: dict[TurnedAway, Count] = {}
    """Connections and associations that were refused, by cause."""
    aborted: dict[Aborted, Count] = {}
    """Associations that ended before their time, by cause."""


class ReceiverReport(_Counts):
    """
    The receiver's account of itself, a file that it writes anew every few seconds.

    For a moment of an upgrade it is of another version than the daemon, and may have more fields.
    """

    model_config = ConfigDict(extra="ignore")

    format: Literal[1] = 1
    uptime_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """The time that the machine had run when the file was written, in seconds."""
    since: datetime
    """The receiver's start."""
    listen: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-fA-F.:\[\]]+$")]
    """Address and port, as configured."""
    tls: bool
    callers: Count
    """The number of callers that may send."""
    settings: Hash
    """SHA-256 of `[dicom]` as the receiver was started with it."""


class ReceiverPart(_Counts):
    """The DICOM receiver; its counts begin at 0 with each of its starts."""

    running: bool
    """False if nothing was heard of the receiver for half a minute."""
    since: datetime | None = None
    """The receiver's start; null while it does not run."""

    @classmethod
    def of(cls, report: ReceiverReport) -> Self:
        """Take over the counts of a receiver that runs."""
        return cls(running=True, **report.model_dump(include=set(cls.model_fields)))
