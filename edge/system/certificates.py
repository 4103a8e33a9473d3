"""Certificates of our own, for TLS."""

import ssl
from errno import EINVAL
from pathlib import Path
from typing import NoReturn


def load_own(context: ssl.SSLContext, cert: Path, key: Path | None) -> None:
    """
    Load a certificate and its key, without asking anybody for a password.

    Args:
        context: gets them.
        cert: the certificate, and perhaps those above it.
        key: the private key; None if it stands in `cert`.

    Raises:
        OSError: they cannot be read or do not belong together, or the key is encrypted.
    """
    context.load_cert_chain(cert, key, _no_password)


def _no_password() -> NoReturn:
    msg = "the key is encrypted, expected one without a password: openssl pkey -in KEY -out NEW"
    raise OSError(EINVAL, msg)
