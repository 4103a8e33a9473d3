"""The answer of one check."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """The severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `mammo-edge doctor`."""

    what: str
    level: Level
    detail: str
    """The state that was found and, unless the level is OK, the remedy."""


def ok(what: str, detail: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(what, Level.OK, detail)


def warning(what: str, detail: str) -> Finding:
    """Return a finding that may need something; `detail` says what."""
    return Finding(what, Level.WARNING, detail)


def failed(what: str, detail: str) -> Finding:
    """Return a finding that keeps the daemon from working; `detail` says what to do."""
    return Finding(what, Level.FAILED, detail)
