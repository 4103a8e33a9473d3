"""Certificates as a clinic makes them: by our own script."""

import subprocess
from pathlib import Path

from tests.support.tools import ROOT, need

MAKE = ROOT / "deploy/broker/tls/make-certificates"


def make_certificates(folder: Path, *words: str) -> None:
    """Make an authority (`ca NAME`), or a certificate of the one in the folder."""
    need("openssl", "openssl")
    subprocess.run([MAKE, folder, *words], check=True, capture_output=True)
