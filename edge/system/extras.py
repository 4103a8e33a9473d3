"""The libraries of the extras `dicom` and `page`, in folders of their own if a package has them."""

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from edge.errors import ConfigError

PACKAGED: Final = Path("/usr/share/mammo-edge/edge.toml")
"""A file that comes with the Debian package alone."""


def find(library: str, extra: str, beside: Path | None = None) -> bool:
    """
    Tell if a library can be imported, from now on, by this process.

    Args:
        library: its name.
        extra: the extra that it belongs to.
        beside: another folder to take it from than that of the extra's package.
    """
    folder = beside or _beside(extra)
    if find_spec(library) is None and (folder / library).is_dir():
        sys.path.append(str(folder))
    return find_spec(library) is not None


def require(libraries: Iterable[str], extra: str, what: str) -> None:
    """
    Make sure that libraries can be imported, from now on, by this process.

    Args:
        libraries: their names.
        extra: the extra that they belong to.
        what: needs them.

    Raises:
        ConfigError: one is missing.
    """
    for library in libraries:
        if not find(library, extra):
            raise _missing(library, extra, what)


def demand(library: str, extra: str, what: str) -> None:
    """
    Make sure that another process will find a library; nothing is imported here.

    Args:
        library: its name.
        extra: the extra that it belongs to.
        what: needs it.

    Raises:
        ConfigError: it is missing.
    """
    if find_spec(library) is None and not (_beside(extra) / library).is_dir():
        raise _missing(library, extra, what)


def _missing(library: str, extra: str, what: str) -> ConfigError:
    way = (
        f"apt install ./mammo-edge-{extra}_VERSION_all.deb, of the version of mammo-edge"
        if PACKAGED.exists()
        else f"pip install 'mammo-edge[{extra}]', or {extra.upper()}=1 deploy/scripts/install.sh "
        "in a checkout"
    )
    return ConfigError(f"{what}: {library} is missing: {way}")


def _beside(extra: str) -> Path:
    return Path(sys.prefix, f"extra-{extra}")
