"""The broker's password: a setting, a file or a systemd credential."""

import os
from collections.abc import Mapping
from pathlib import Path

from edge.config.network import Broker
from edge.errors import ConfigError


def read_secret(
    section: Broker, environ: Mapping[str, str] = os.environ, stored: Path | None = None
) -> str | None:
    """
    Read the broker's password from settings, their password file or the systemd credential.

    Args:
        section: the settings.
        environ: names systemd's credentials folder, which may hold `mqtt-password`.
        stored: the credential's source, for a command that systemd did not start; ignored if it
            cannot be read.

    Raises:
        ConfigError: the file cannot be read.
    """
    if section.password is not None:
        return section.password.get_secret_value()
    credential = Path(environ.get("CREDENTIALS_DIRECTORY", "/nonexistent")) / "mqtt-password"
    readable = stored if stored and os.access(stored, os.R_OK) else None
    file = section.password_file or (credential if credential.exists() else readable)
    if file is None:
        return None
    try:
        return file.read_text().partition("\n")[0] or None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"broker.password_file: {file}: {getattr(error, 'strerror', 'not text')}"
        raise ConfigError(msg) from None
