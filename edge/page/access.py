"""
The token and the password that open the page, kept as salted scrypt hashes in the state folder.

Memory and time of a hash are N = 2^14, r = 8, p = 1: 16 MiB, some 50 ms.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from edge.errors import ConfigError
from edge.system.files import write
from edge.system.privileges import as_owner_of

Kind: TypeAlias = Literal["token", "password"]
"""The token is for browsers on this machine, the password for those on others."""
COST: Final = (2**14, 8, 1)
MEMORY: Final = 64 * 2**20
"""Bytes that OpenSSL may take for one hash."""
LEAST: Final = 12
"""Characters of a password."""
MOST: Final = 1024


def file_of(state: Path, kind: Kind) -> Path:
    """Name the file with the hash of a token or password."""
    return state / f"page.{kind}"


def make_token(state: Path) -> str:
    """
    Make a new token and keep its hash; the token before is void.

    Raises:
        ConfigError: the state folder is not there, or cannot be written.
    """
    token = secrets.token_urlsafe(24)
    _keep(state, "token", token)
    return token


def set_password(state: Path, password: str) -> None:
    """
    Keep the hash of a new password.

    Raises:
        ConfigError: it is too short or too long, or the state folder cannot be written.
    """
    if not LEAST <= len(password) <= MOST:
        msg = f"page: found a password of {len(password)} characters, expected {LEAST} to {MOST}"
        raise ConfigError(msg)
    _keep(state, "password", password)


def read(state: Path, kind: Kind) -> str | None:
    """
    Read a hash; None if there is none.

    Raises:
        ConfigError: it is there and cannot be read.
    """
    file = file_of(state, kind)
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not what this command wrote"
        msg = f"{file}: {why}: run this as root or as the service's user"
        raise ConfigError(msg) from None


def matches(kept: str, typed: str) -> bool:
    """Tell if a text is the one whose hash is kept; takes as long for a wrong one."""
    try:
        name, *cost, salt, digest = kept.split("$")
        known = bytes.fromhex(digest)
        found = _hash(typed[:MOST], bytes.fromhex(salt), [int(number) for number in cost])
    except ValueError:
        return False
    return name == "scrypt" and hmac.compare_digest(found, known)


def _hash(text: str, salt: bytes, cost: Sequence[int]) -> bytes:
    n, r, p = cost
    password = text.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=MEMORY, dklen=32)


def _keep(state: Path, kind: Kind, text: str) -> None:
    salt = os.urandom(16)
    line = "$".join(("scrypt", *map(str, COST), salt.hex(), _hash(text, salt, COST).hex()))
    file = file_of(state, kind)
    try:
        with as_owner_of(state):
            write(file, f"{line}\n".encode())
            file.chmod(0o600)
    except OSError as error:
        msg = f"{file}: {error.strerror}: the daemon makes the folder at its first start"
        raise ConfigError(msg) from None
