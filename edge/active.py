"""`active.json`: which of the installed bundles serves. Replaced whole, so that a power cut leaves the old choice or the new one."""

import json
import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from edge.errors import ModelError, Unavailable
from edge.files import PART, write

ACTIVE: Final = "active.json"
SHIPPED: Final = "shipped"
"""Stands for the bundle that comes with the package."""


@dataclass(frozen=True, slots=True)
class Active:
    """What serves and what served before: bundle ids, or `shipped`."""

    current: str = SHIPPED
    previous: str | None = None
    trial: bool = False
    """Whether the current one is still watched in its first images."""


def read(folder: Path) -> Active:
    """
    The choice that stands in a folder of bundles; the shipped one where there is none.

    Raises:
        ModelError: it cannot be read.
    """
    file = folder / ACTIVE
    try:
        fields = json.loads(file.read_bytes())
        previous = fields["previous"]
        return Active(str(fields["current"]), None if previous is None else str(previous), bool(fields.get("trial", False)))
    except (FileNotFoundError, NotADirectoryError):
        return Active()
    except OSError as error:
        msg = f"{file}: {error.strerror}"
    except (ValueError, KeyError, TypeError, AttributeError):
        msg = f"{file}: not what activate wrote: remove it to serve the shipped model"
    raise ModelError(msg)


def put(folder: Path, active: Active) -> Active:
    """Make it the choice, on the disk when this returns. Raises Unavailable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(f".*{PART}"):  # by a power cut while this was written
            left_over.unlink(missing_ok=True)
        write(folder / ACTIVE, json.dumps(asdict(active)).encode() + b"\n")
        give_to_owner_of(folder, folder / ACTIVE)
    except OSError as error:
        msg = f"{folder / ACTIVE}: {error.strerror}"
        raise Unavailable(msg) from None
    return active


def give_to_owner_of(folder: Path, path: Path) -> None:
    """What root installs belongs to the daemon, as the state folder does."""
    if os.geteuid() == 0:
        owner = folder.stat()
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a link there is not ours
        try:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
            os.fchmod(descriptor, 0o750 if stat.S_ISDIR(os.fstat(descriptor).st_mode) else 0o640)
        finally:
            os.close(descriptor)
