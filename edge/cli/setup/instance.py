"""Names and places of the service, or of one of its instances mammo-edge@NAME."""

import re
from pathlib import Path
from typing import Final

from edge.cli.setup.dropin import SERVICE_ROOT, STATE_ROOT
from edge.config.paths import DEFAULT_CONFIG
from edge.errors import ConfigError

TAKEN: Final = frozenset(
    {
        "ca",
        "device",
        "edge",
        "mqtt",
        "keys",
        "inbox",
        "spool",
        "done",
        "failed",
        "models",
        "damaged",
        "lock",
        "open",
    }
)
"""Files and folders of mammo-edge.service, in folders that also hold one folder per instance."""


def refuse_name(instance: str | None) -> None:
    """
    Refuse a name that no instance can have.

    Raises:
        ConfigError: the name has other characters, or mammo-edge.service uses it itself.
    """
    if instance is None:
        return
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", instance) or instance in TAKEN:
        msg = (
            f"instance: found {instance!r}, expected lower-case letters, digits, "
            f"- and _, and none of {', '.join(sorted(TAKEN))}"
        )
        raise ConfigError(msg)


def config_of(root: Path, instance: str | None) -> Path:
    """Name the configuration file of an instance, or of the service for None."""
    return root / DEFAULT_CONFIG.relative_to("/").with_stem(instance or DEFAULT_CONFIG.stem)


def places_of(instance: str | None) -> dict[str, dict[str, str]]:
    """Return the keys, by section, with which an instance stays apart from the others."""
    if instance is None:
        return {}
    below = SERVICE_ROOT / instance
    return {
        "device": {"name": instance},
        "inbox": {"path": f"{below}/inbox"},
        "spool": {"path": f"{below}/spool", "done": f"{below}/done", "failed": f"{below}/failed"},
        "state": {"path": str(STATE_ROOT / instance)},
        "control": {"socket": f"/run/mammo-edge-{instance}/control.sock"},
    }
