"""UIDs of reports: derived, so that the same result is the same object however often it is sent."""

import uuid
from typing import Final

NAMESPACE: Final = uuid.UUID("3ac94865-390f-4717-9a69-e6fb737c3128")
"""The names that UIDs are derived from belong to this UUID. It never changes."""


def uid_of(kind: str, name: str) -> str:
    """Derive a UID below 2.25 (PS3.5, B.2) from a name of some kind."""
    return f"2.25.{uuid.uuid5(NAMESPACE, f'{kind} {name}').int}"


def number_of(kind: str, name: str) -> int:
    """Derive a number that an integer string holds (PS3.5, 6.2), from 1, likewise."""
    return uuid.uuid5(NAMESPACE, f"{kind} {name}").int % (2**31 - 1) + 1
