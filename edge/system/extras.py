"""The library of the extra `dicom`, which lies beside the environment if a package brought it."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edge.errors import ConfigError

EXTRA: Final = "extra-dicom"
"""The folder beside the environment into which the package mammo-edge-dicom puts its library."""
PACKAGED: Final = Path("/usr/share/mammo-edge/edge.toml")
"""A file that comes with the Debian package alone."""


def find_pynetdicom(beside: Path | None = None) -> bool:
    """
    Tell if pynetdicom can be imported, from now on.

    Args:
        beside: another folder to take it from, which no other command looks into.
    """
    folder = beside or _beside()
    if find_spec("pynetdicom") is None and (folder / "pynetdicom").is_dir():
        sys.path.append(str(folder))
    return find_spec("pynetdicom") is not None


def demand_pynetdicom(what: str) -> None:
    """
    Make sure that another process will find pynetdicom; nothing is imported here.

    Args:
        what: needs it.

    Raises:
        ConfigError: it is missing.
    """
    if find_spec("pynetdicom") is None and not (_beside() / "pynetdicom").is_dir():
        msg = f"{what}: pynetdicom is missing: {way_to_get_it()}"
        raise ConfigError(msg)


def _beside() -> Path:
    return Path(sys.prefix).with_name(EXTRA)


def way_to_get_it() -> str:
    """Say how to install the extra."""
    if PACKAGED.exists():
        return "apt install ./mammo-edge-dicom_VERSION_all.deb, of the version of mammo-edge"
    return "pip install 'mammo-edge[dicom]', or DICOM=1 deploy/scripts/install.sh in a checkout"
