"""Errors, sorted by the reaction that they call for."""

from enum import StrEnum
from typing import Final


class MammoEdgeError(Exception):
    """Any failure mammo-edge foresaw; its text is one line a person can act on."""


class StartupError(MammoEdgeError):
    """The daemon cannot start until a person changes something: exit 78, no restart."""


class ConfigError(StartupError):
    """The configuration is not usable; the text names the file or the key."""


class ModelError(StartupError):
    """The model bundle is not usable; the text says what was found and what was expected."""


class InferenceError(ModelError):
    """
    The model gave no usable number for an image.

    It counts as one attempt of the image, and against a model that is on trial.
    """


class Unavailable(MammoEdgeError):
    """Something is away for now (disk full, broker gone): the work is kept and tried again."""


class UnreadableError(Unavailable):
    """A worker that was given an image cannot read its file."""


class StateDamagedError(MammoEdgeError):
    """The open ledger is damaged: the daemon ends, and the next start sets the ledger aside."""


class FileTooLargeError(MammoEdgeError):
    """A file of the inbox is so large that hashing it would keep all others waiting."""


class LockedError(Unavailable):
    """A folder of a sender lets nobody but the sender remove files."""


class NoRoomError(Unavailable):
    """The disk has no room for one file; others may be smaller."""


class AcceleratorError(Unavailable):
    """The accelerator is missing, lost or refuses the model: the processor does the work."""


class Reason(StrEnum):
    """The reason for no score. The value is published; it never changes its meaning."""

    EMPTY = "empty file"
    TOO_LARGE = "too large"
    TRUNCATED = "truncated"
    UNREADABLE = "unreadable"
    UNSUPPORTED_FORMAT = "unsupported format"
    UNSUPPORTED_TRANSFER_SYNTAX = "unsupported transfer syntax"
    NO_PIXELS = "no pixels"
    COLOUR = "colour image"
    MULTI_FRAME = "multi-frame image"
    NOT_A_MAMMOGRAM = "not a mammogram"
    NOT_ONE_WHOLE_BREAST = "not one whole breast"
    MISSING = "missing"
    POISON = "poison"


NOT_WHOLE: Final = frozenset(
    {
        Reason.EMPTY,
        Reason.TRUNCATED,
        Reason.UNREADABLE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.UNSUPPORTED_TRANSFER_SYNTAX,
        Reason.NO_PIXELS,
    }
)
"""The reasons that a file may have only because its sender has not written all of it yet."""


class ImageRejected(MammoEdgeError):
    """This image gets no score: publish the reason, set the file aside, go on with the next."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
