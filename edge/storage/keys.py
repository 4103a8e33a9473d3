"""Keys of pseudonyms, which the device makes for itself and keeps in its state folder."""

import secrets
from pathlib import Path
from typing import Final

from edge.errors import ConfigError, Unavailable
from edge.system import files

LEDGER: Final = "ledger.key"
"""The file of the key by which the ledger names women and machines."""
KEY_BYTES: Final = 32


def own_key(file: Path) -> bytes:
    """
    Read a key of the device, or make one.

    Raises:
        ConfigError: the file is there and is no key; a new one would make every woman two.
        Unavailable: the disk does not give or take it.
    """
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        return _made(file)
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise Unavailable(msg) from None
    if len(key) != KEY_BYTES:
        msg = (
            f"{file}: found {len(key)} bytes, expected {KEY_BYTES}: put it back from a backup, or "
            "remove it to begin anew"
        )
        raise ConfigError(msg)
    return key


def _made(file: Path) -> bytes:
    key = secrets.token_bytes(KEY_BYTES)
    try:
        with files.whole(file, 0o600) as out:
            out.write(key)
        files.sync_folder(file.parent)
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise Unavailable(msg) from None
    return key
