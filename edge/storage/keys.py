"""Keys of pseudonyms, which the device makes for itself and keeps in its state folder."""

import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.errors import Unavailable
from edge.system import files

LEDGER: Final = "ledger.key"
"""The file of the key by which the ledger names women and machines."""
KEY_BYTES: Final = 32


def own_key(file: Path) -> bytes:
    """
    Read a key of the device, or make one.

    Raises:
        Unavailable: the disk does not take it.
    """
    with suppress(OSError):
        if len(key := file.read_bytes()) == KEY_BYTES:
            return key
    key = secrets.token_bytes(KEY_BYTES)
    try:
        with files.whole(file, 0o600) as out:
            out.write(key)
        files.sync_folder(file.parent)
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise Unavailable(msg) from None
    return key
