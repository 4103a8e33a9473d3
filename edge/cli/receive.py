"""`mammo-edge receive`: the DICOM receiver, a process beside the daemon."""

import sys
from argparse import Namespace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edge.config.load import load
from edge.errors import ConfigError

EXTRA: Final = "extra-dicom"
"""The folder beside the environment into which the package mammo-edge-dicom puts its library."""
PACKAGED: Final = Path("/usr/share/mammo-edge/edge.toml")
"""A file that comes with the Debian package alone."""


def run(arguments: Namespace) -> int:
    """
    Receive until SIGTERM; returns the exit status.

    Raises:
        ConfigError: the configuration is refused, or the library is missing.
    """
    settings = load(arguments.config)
    if not library_found(Path(sys.prefix).with_name(EXTRA)):
        msg = f"receive: pynetdicom is missing: {_way_to_get_it()}"
        raise ConfigError(msg)
    import_module("edge.dicom.receive.process").run(settings)
    return 0


def library_found(beside: Path) -> bool:
    """
    Tell if pynetdicom can be imported, from now on.

    Args:
        beside: another folder to take it from, which no other command looks into.
    """
    if find_spec("pynetdicom") is None and (beside / "pynetdicom").is_dir():
        sys.path.append(str(beside))
    return find_spec("pynetdicom") is not None


def _way_to_get_it() -> str:
    if PACKAGED.exists():
        return "apt install ./mammo-edge-dicom_VERSION_all.deb, of the version of mammo-edge"
    return "pip install 'mammo-edge[dicom]', or DICOM=1 deploy/scripts/install.sh in a checkout"
