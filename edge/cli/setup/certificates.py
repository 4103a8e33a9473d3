"""Authority, certificate and private key of a device, installed where the daemon may read them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.paths import DEFAULT_CONFIG
from edge.errors import ConfigError

PEM: Final = "-----BEGIN "
FOLDER: Final = DEFAULT_CONFIG.parent
PUBLIC: Final = 0o644
PRIVATE: Final = 0o640


@dataclass(frozen=True, slots=True)
class Installed:
    """One of the three files."""

    path: Path
    """The path that the configuration names, as the device sees it."""
    mode: int
    text: str | None
    """PEM to write there; None leaves what is there."""


def installed(what: str, given: Path, root: Path, instance: str | None) -> Installed:
    """
    Say where a file is to lie, so that the daemon can read it and nobody else a key.

    One that lies in /etc/mammo-edge stays, and gets the right owner and mode; a symbolic link
    there is somebody's own arrangement. Any other is copied there.

    Args:
        what: `ca`, `cert` or `key`.
        given: the file.
        root: `/`, or another system's tree.
        instance: the name of mammo-edge@NAME.service; None for mammo-edge.service.

    Raises:
        ConfigError: the file cannot be read, or is not PEM.
    """
    mode = PRIVATE if what == "key" else PUBLIC
    if given.is_relative_to(FOLDER):
        there = root / given.relative_to("/")
        own = there.is_file() and not there.is_symlink()
        return Installed(given, mode, _pem(what, there) if own else None)
    return Installed(FOLDER / _name(what, instance), mode, _pem(what, given))


def _name(what: str, instance: str | None) -> str:
    if what == "ca":
        return f"{instance}.ca.crt" if instance else "ca.crt"
    return f"{instance or 'device'}.{'key' if what == 'key' else 'crt'}"


def _pem(what: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"--{what}: {path}: {getattr(error, 'strerror', None) or 'expected PEM'}"
        raise ConfigError(msg) from None
    if PEM not in text:
        msg = f"--{what}: {path}: expected PEM, which has a line with {PEM.strip()}"
        raise ConfigError(msg)
    return text
