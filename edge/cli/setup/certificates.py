"""Authority, certificate and private key of a device, installed where the daemon may read them."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.config.paths import DEFAULT_CONFIG
from edge.errors import ConfigError

BLOCK: Final = re.compile(r"^-----BEGIN ([A-Z0-9 ]+)-----", re.MULTILINE)
FOLDER: Final = DEFAULT_CONFIG.parent
KEY_NAME: Final = "PRIVATE KEY"
PUBLIC: Final = 0o644
PRIVATE: Final = 0o640


@dataclass(frozen=True, slots=True)
class Installed:
    """The place and the contents of a device's authority, certificate or key."""

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
        ConfigError: the file cannot be read, or holds no PEM of its kind.
    """
    given = Path(os.path.normpath(given))  # A path that leads out of the folder is not below it.
    if not given.is_relative_to(FOLDER):
        text = pem(what, given)
        return Installed(FOLDER / _name(what, instance), _mode(text), text)
    there = root / given.relative_to("/")
    if there.is_symlink() or not there.is_file():
        return Installed(given, PRIVATE, None)
    text = pem(what, there)
    return Installed(given, _mode(text), text)


def _name(what: str, instance: str | None) -> str:
    if what == "ca":
        return f"{instance}.ca.crt" if instance else "ca.crt"
    return f"{instance or 'device'}.{'key' if what == 'key' else 'crt'}"


def pem(what: str, path: Path) -> str:
    """
    Read an authority, certificate or private key.

    Args:
        what: `ca`, `cert` or `key`.
        path: the file.

    Raises:
        ConfigError: the file cannot be read, or holds no PEM of its kind.
    """
    try:
        text = path.read_bytes().decode(errors="surrogateescape")  # comments may be in any encoding
    except OSError as error:
        msg = f"--{what}: {path}: {error.strerror}"
        raise ConfigError(msg) from None
    expected = KEY_NAME if what == "key" else "CERTIFICATE"
    found = re.findall(BLOCK, text)
    if not any(name.endswith(expected) for name in found):
        msg = (
            f"--{what}: {path}: found {', '.join(found) or 'no PEM'}, expected PEM with a line "
            f"-----BEGIN {expected}-----"
        )
        raise ConfigError(msg)
    return text


def _mode(text: str) -> int:
    """A private key is for the daemon alone, also in one file with its certificate."""
    return PRIVATE if any(name.endswith(KEY_NAME) for name in re.findall(BLOCK, text)) else PUBLIC
