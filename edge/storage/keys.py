"""Keys of pseudonyms, which the device makes for itself and keeps in its state folder."""

import logging
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge.errors import Unavailable
from edge.system import files

log = logging.getLogger(__name__)

LEDGER: Final = "ledger.key"
"""The file of the key by which the ledger names women and machines."""
KEY_BYTES: Final = 32


def own_key(file: Path) -> bytes:
    """
    Read a key of the device, or make one.

    A damaged one is set aside, and told in the log: who was known by it is somebody else from then
    on, which no start is worth.

    Raises:
        Unavailable: the disk does not give or take it.
    """
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        return _made(file)
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise Unavailable(msg) from None
    if len(key) == KEY_BYTES:
        return key
    aside = file.with_suffix(".damaged")
    log.error(
        "event=key_damaged file=%s found=%d expected=%d set_aside=%s",
        file.name,
        len(key),
        KEY_BYTES,
        aside.name,
    )
    with suppress(OSError):
        file.replace(aside)
    return _made(file)


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
