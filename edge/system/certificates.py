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


def client_context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """
    Return the rules of TLS towards a server: 1.2 or later, and its certificate has its name.

    Args:
        ca: the authority of the server's certificate; None for those of the system.
        cert: our own certificate; None for none.
        key: its private key.

    Raises:
        OSError: a certificate or key cannot be read; `ssl.SSLError` is one.
    """
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert is not None:
        load_own(context, cert, key)
    return context


def _no_password() -> NoReturn:
    msg = "the key is encrypted, expected one without a password: openssl pkey -in KEY -out NEW"
    raise OSError(EINVAL, msg)
