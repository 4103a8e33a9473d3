"""
Ed25519 signatures of model bundles.

`bundle.json` holds the hash of every file, so its signature covers them all.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edge.errors import ConfigError, ModelError
from edge.models.manifest import MANIFEST
from edge.system.files import read_regular, write

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE: Final = "bundle.json.sig"
SCHEMA: Final = "mammo.signature/1"
PUBLIC: Final = ".pub"
"""The end of a public key's file name; the rest is the signer's name."""


def sign(folder: Path, key_file: Path) -> str:
    """
    Write `bundle.json.sig` beside `bundle.json`.

    Args:
        folder: the bundle's.
        key_file: an Ed25519 private key, PEM: `openssl genpkey -algorithm ed25519`.

    Returns:
        The key's id.

    Raises:
        ConfigError: the key cannot be read or is of another kind.
        ModelError: there is no bundle, or it cannot be written to.
    """
    # a daemon that serves the shipped model alone never loads these
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    key = _read_key(key_file, lambda data: load_pem_private_key(data, password=None))
    if not isinstance(key, Ed25519PrivateKey):
        msg = (
            f"{key_file}: found {type(key).__name__}, expected an Ed25519 "
            "private key: openssl genpkey -algorithm ed25519"
        )
        raise ConfigError(msg)
    identity = key_id(key.public_key())
    signature = base64.b64encode(key.sign(_manifest(folder))).decode()
    text = json.dumps({"schema": SCHEMA, "key": identity, "signature": signature})
    try:
        write(folder / SIGNATURE, text.encode() + b"\n")
    except OSError as error:
        msg = f"{folder / SIGNATURE}: {error.strerror}"
        raise ModelError(msg) from None
    return identity


def signer(folder: Path, keys: Path) -> str | None:
    """
    Return the name of a bundle's signer.

    Args:
        folder: the bundle's.
        keys: a folder of public keys, PEM, `NAME.pub`.

    Returns:
        The name of the key, or None if there is no signature at all.

    Raises:
        ModelError: there is a signature, but it is not one of `keys`, or not of these bytes.
        ConfigError: a key cannot be read.
    """
    found = _verified(folder, keys)
    return None if found is None else found[1]


def signing_key(folder: Path, keys: Path) -> str | None:
    """Return the id of the key by which a bundle is signed; arguments and errors as `signer`."""
    found = _verified(folder, keys)
    return None if found is None else found[0]


def _verified(folder: Path, keys: Path) -> tuple[str, str] | None:
    """Verify a signature; return id and name of its key, or None if there is no signature."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        text = read_regular(folder / SIGNATURE)
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"{folder / SIGNATURE}: {error.strerror}"
        raise ModelError(msg) from None
    identity, signature = _parse(text, folder / SIGNATURE)
    known = public_keys(keys)
    if identity not in known:
        msg = (
            f"{SIGNATURE}: signed by key {identity}, {keys} holds "
            f"{', '.join(sorted(known)) or 'none'}"
        )
        raise ModelError(msg)
    name, key = known[identity]
    try:
        key.verify(signature, _manifest(folder))
    except InvalidSignature:
        msg = (
            f"{SIGNATURE}: the signature by {name} is not of this "
            f"{MANIFEST}: it was changed after it was signed"
        )
        raise ModelError(msg) from None
    return identity, name


def check_signature(folder: Path, keys: Path, *, allow_unsigned: bool) -> str | None:
    """
    Let a bundle pass that is signed by one of `keys`, or unsigned if that is allowed.

    Raises:
        ModelError: it is unsigned, or its signature is wrong.
    """
    name = signer(folder, keys)
    if name is None and not allow_unsigned:
        msg = (
            "the bundle is not signed: have it signed (mammo-edge model sign) by "
            f"a key of {keys}, or set [model] allow_unsigned"
        )
        raise ModelError(msg)
    return name


def public_keys(folder: Path) -> dict[str, tuple[str, "Ed25519PublicKey"]]:
    """
    Return name and key by key id: none if the folder is absent.

    Raises:
        ConfigError: a key cannot be read.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_public_key  # noqa: PLC0415

    found = {}
    for file in sorted(folder.glob(f"*{PUBLIC}")):
        key = _read_key(file, load_pem_public_key)
        if not isinstance(key, Ed25519PublicKey):
            msg = f"{file}: found {type(key).__name__}, expected an Ed25519 public key"
            raise ConfigError(msg)
        found[key_id(key)] = (file.name.removesuffix(PUBLIC), key)
    return found


def key_id(key: "Ed25519PublicKey") -> str:
    """Return the first 16 hex digits of the SHA-256 of a key's 32 bytes."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _manifest(folder: Path) -> bytes:
    try:
        return read_regular(folder / MANIFEST)
    except OSError as error:
        msg = f"{folder}: not a model bundle: {MANIFEST}: {error.strerror}"
        raise ModelError(msg) from None


def _read_key(file: Path, load: Callable[[bytes], Any]) -> Any:  # noqa: ANN401 - any kind of key
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415

    try:
        return load(file.read_bytes())
    except OSError as error:
        msg = f"{file}: {error.strerror}"
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        msg = f"{file}: not a key in PEM without a password"
    raise ConfigError(msg)


def _parse(text: bytes, file: Path) -> tuple[str, bytes]:
    try:
        fields = json.loads(text)
        if fields["schema"] != SCHEMA:
            raise ValueError  # noqa: TRY301
        return str(fields["key"]), base64.b64decode(fields["signature"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError):
        msg = f"{file}: not a signature, expected {SCHEMA} with key and signature"
        raise ModelError(msg) from None
