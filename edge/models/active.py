"""
`active.json`: the choice which of the installed bundles serves.

The file is replaced whole, so that a power cut leaves the old choice or the new one.
"""

import json
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from edge.errors import ModelError, Unavailable
from edge.system.files import PART, write
from edge.system.privileges import as_owner_of, make_folder

ACTIVE: Final = "active.json"
SHIPPED: Final = "shipped"
"""Stands for the bundle that comes with the package."""


@dataclass(frozen=True, slots=True)
class Active:
    """The bundle that serves and the one before it, by ids, or `shipped`."""

    current: str = SHIPPED
    previous: str | None = None
    trial: bool = False
    """True while the current one is watched in its first images."""


def shipped_bundle() -> Path:
    """Find the folder of the bundle that comes with the package."""
    return Path(str(files("edge") / "models" / "default"))


def read(folder: Path) -> Active:
    """
    Return the choice in a folder of bundles: the shipped one if there is none.

    Raises:
        ModelError: it cannot be read.
    """
    file = folder / ACTIVE
    try:
        fields = json.loads(file.read_bytes())
        previous = fields["previous"]
        return Active(
            str(fields["current"]),
            None if previous is None else str(previous),
            bool(fields.get("trial", False)),
        )
    except (FileNotFoundError, NotADirectoryError):
        return Active()
    except OSError as error:
        msg = f"{file}: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError):
        msg = f"{file}: not what activate wrote: remove it to serve the shipped model"
    raise ModelError(msg)


def put(folder: Path, active: Active) -> Active:
    """
    Make it the choice, on the disk when this returns.

    Raises:
        Unavailable: the disk does not take it.
    """
    try:
        make_folder(folder)
        with as_owner_of(folder.parent):
            for left_over in folder.glob(f".*{PART}"):  # by a power cut during an earlier write
                left_over.unlink(missing_ok=True)
            write(folder / ACTIVE, json.dumps(asdict(active)).encode() + b"\n")
    except OSError as error:
        msg = f"{folder / ACTIVE}: {error.strerror}"
        raise Unavailable(msg) from None
    return active
