"""
The token and the password that open the page, kept as salted hashes in the state folder.

A token of 192 bits cannot be guessed, so SHA-256 is enough for it and costs no time. A password is
kept by scrypt with N = 2^14, r = 8, p = 1: 16 MiB, some 50 ms.
"""

import hashlib
import hmac
import os
import secrets
import unicodedata
from errno import EACCES, ENOENT, EPERM
from pathlib import Path
from typing import Final, Literal, TypeAlias

from edge.errors import ConfigError
from edge.system.files import sync_folder, whole
from edge.system.privileges import as_owner_of

Kind: TypeAlias = Literal["token", "password"]
"""The token is for browsers on this machine, the password for those on others."""
FAST: Final = "sha256"
SLOW: Final = "scrypt$16384$8$1"
"""The method for passwords, with its N, r and p."""
MEMORY: Final = 64 * 2**20
"""Bytes that OpenSSL may take for one hash."""
LEAST: Final = 12
"""Characters of a password."""
MOST: Final = 1024
ADVICE: Final = {
    ENOENT: ": the daemon makes the folder at its first start",
    EACCES: ": run this as root or as the service's user",
    EPERM: ": run this as root or as the service's user",
}
"""Endings of a message, by the error that kept a hash from being written."""


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
    password = normal(password)
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


def normal(text: str) -> str:
    """Return what counts of a typed text: no outer blanks, and one form for each character."""
    return unicodedata.normalize("NFKC", text).strip()


def matches(kept: str, typed: str) -> bool:
    """Tell if a text is the one whose hash is kept; takes as long for a wrong one."""
    try:
        method, salt, digest = kept.rsplit("$", 2)
        known = bytes.fromhex(digest)
        found = _hash(normal(typed)[:MOST], bytes.fromhex(salt), method)
    except ValueError:
        return False
    return hmac.compare_digest(found, known)


def _hash(text: str, salt: bytes, method: str) -> bytes:
    secret = text.encode("utf-8", "surrogatepass")
    if method == FAST:
        return hashlib.sha256(salt + secret).digest()
    name, n, r, p = method.split("$")
    if name != "scrypt":
        raise ValueError(name)
    cost = {"n": int(n), "r": int(r), "p": int(p)}
    return hashlib.scrypt(secret, salt=salt, maxmem=MEMORY, dklen=32, **cost)


def _keep(state: Path, kind: Kind, text: str) -> None:
    salt, method = os.urandom(16), FAST if kind == "token" else SLOW
    line = "$".join((method, salt.hex(), _hash(text, salt, method).hex()))
    file = file_of(state, kind)
    try:
        with as_owner_of(state):
            with whole(file, 0o600) as writing:
                writing.write(f"{line}\n".encode())
            sync_folder(state)
    except OSError as error:
        msg = f"{file}: {error.strerror}{ADVICE.get(error.errno or 0, '')}"
        raise ConfigError(msg) from None
