"""Facts that a person should see at the end of `setup`: the authority, and an accelerator."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from edge.cli.doctor.coral import accelerator
from edge.config.settings import Settings

MOST: Final = 3
"""More authorities are a system's, which nobody compares."""
PAIRS: Final = ":"


def facts(settings: Settings, root: Path, unit: str) -> Iterator[str]:
    """
    Yield a line for each authority that the broker is known by, and one for an accelerator.

    Args:
        settings: the configuration.
        root: `/`, or another system's tree, where no accelerator is looked for.
        unit: the service with this configuration.
    """
    ca = settings.broker.tls.ca
    if ca is not None:
        yield from _authorities(root / str(ca).lstrip("/"))
    if root == Path("/"):
        found = accelerator(root, settings, unit)
        if found.detail != "none":
            yield f"Coral: {found.detail}"


def _authorities(file: Path) -> Iterator[str]:
    try:
        found = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError):  # the lines of `check` say so
        return
    for one in found if len(found) <= MOST else ():
        fingerprint = one.fingerprint(SHA256()).hex(PAIRS).upper()
        yield f"the broker is known by {one.subject.rfc4514_string()}, SHA-256 {fingerprint}"
