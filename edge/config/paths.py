"""The files and the service that belong to one configuration."""

from pathlib import Path
from typing import Final

DEFAULT_CONFIG: Final = Path("/etc/mammo-edge/edge.toml")


def credential_of(config: Path) -> Path:
    """
    Name the file of the broker's password: `mammo-edge setup` writes it beside the configuration.

    The service takes it from there (systemd's LoadCredential=).
    """
    return config.with_name(
        "mqtt.password" if config.name == DEFAULT_CONFIG.name else f"{config.stem}.password"
    )


def unit_of(config: Path) -> str:
    """Name the service of a configuration file: mammo-edge@.service has one per instance."""
    return (
        "mammo-edge.service"
        if config.name == DEFAULT_CONFIG.name
        else f"mammo-edge@{config.stem}.service"
    )
