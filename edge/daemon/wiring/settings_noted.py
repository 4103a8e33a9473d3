"""Notes in the audit log that the daemon runs with other settings than before."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Final

from edge.config.settings import Settings
from edge.errors import Unavailable
from edge.storage.audit import Audit

log = logging.getLogger(__name__)

EVENT: Final = "settings"


OWN: Final[Mapping[str, Any]] = {
    "device": True,
    "broker": {"client_id": True, "username": True, "tls": {"cert": True, "key": True}},
}
"""The settings by which devices of one fleet have to differ."""


def digest_of(settings: Settings) -> str:
    """Return the SHA-256 of all settings, passwords left out."""
    return _hash(settings.model_dump_json())


def fleet_digest_of(settings: Settings) -> str:
    """Return the SHA-256 of the settings that devices may share, passwords left out."""
    return _hash(settings.model_dump_json(exclude=dict(OWN)))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def note_settings(settings: Settings, audit: Audit) -> None:
    """Write the digest of the settings into the audit log, if it is not the last one there."""
    digest = digest_of(settings)
    try:
        before = audit.newest(EVENT)
        if before is None or before["details"].get("digest") != digest:
            audit.add(EVENT, digest=digest)
    except (Unavailable, OSError) as error:  # a start does not fail of it, the next one notes it
        log.warning('event=settings_not_noted why="%s"', error)
