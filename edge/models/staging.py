"""
Moves of bundles into a folder of bundles and out of it: whole or not at all.

That holds for a power cut at any moment. The folder of bundles is that of a state folder, and root
writes to it as the state folder's owner.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from edge.errors import Unavailable
from edge.models.bundle import Bundle
from edge.models.manifest import MANIFEST
from edge.models.signature import SIGNATURE
from edge.system.files import copy, sync_folder
from edge.system.privileges import as_owner_of, make_folder

STAGED: Final = ".staged-"
TRASH: Final = ".trash-"
"""
Names that begin with a dot do not count. The next installation removes those that a power cut left.
"""


@contextmanager
def staged(root: Path, bundle: Bundle) -> Iterator[Path]:
    """
    Copy a bundle below `root`, to the disk, under a name that does not count.

    The copy is gone after the block, unless it was renamed.

    Raises:
        Unavailable: the disk does not take it, or another installation is going on.
    """
    copied = root / f"{STAGED}{uuid.uuid4().hex}"
    with locked(root):
        try:
            with as_owner_of(root.parent):
                for left_over in (*root.glob(f"{STAGED}*"), *root.glob(f"{TRASH}*")):
                    shutil.rmtree(left_over)
            _copy(bundle, copied)
            yield copied
        finally:
            with as_owner_of(root.parent):
                shutil.rmtree(copied, ignore_errors=True)


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """
    Keep everyone else from installing or removing, in this process or another.

    The lock ends with its holder.

    Raises:
        Unavailable: another installation is going on, or the disk fails.
    """
    try:
        make_folder(root)
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(descriptor)
    except BlockingIOError:
        msg = f"{root}: another installation is going on: try again when it is done"
        raise Unavailable(msg) from None
    except OSError as error:
        msg = f"{root}: {error.strerror}"
        raise Unavailable(msg) from None


def put_in_place(copied: Path, target: Path) -> None:
    """Give a staged copy its name, and remove a damaged bundle that had it."""
    with as_owner_of(target.parent.parent):
        if target.exists():
            discard(target)
        copied.rename(target)
        sync_folder(target.parent)


def discard(folder: Path) -> None:
    """Remove a bundle, so that half of one never has its name."""
    trash = folder.with_name(f"{TRASH}{uuid.uuid4().hex}")
    with as_owner_of(folder.parent.parent):
        folder.rename(trash)
        shutil.rmtree(trash)


def renew_signature(source: Path, target: Path) -> None:
    """
    Take a bundle's signature over to its installed copy, as its key may be another one now.

    Raises:
        Unavailable: the disk does not take it, or another installation is going on.
    """
    if (source / SIGNATURE).exists():
        with locked(target.parent):
            copy(
                (source / SIGNATURE).resolve(),
                target / SIGNATURE,
                _no_beat,
                as_owner_of(target.parent.parent),
            )


def _copy(bundle: Bundle, target: Path) -> None:
    """Copy every file the manifest names and nothing else, on the disk when this returns."""
    names = [
        MANIFEST,
        *bundle.manifest.files,
        *([SIGNATURE] if (bundle.folder / SIGNATURE).exists() else []),
    ]
    folders, state = {target, *((target / name).parent for name in names)}, target.parent.parent
    with as_owner_of(state):
        for folder in sorted(folders):
            folder.mkdir(parents=True, exist_ok=True)
    for name in names:  # read as who we are: what root installs may be for root alone
        copy((bundle.folder / name).resolve(), target / name, _no_beat, as_owner_of(state))
    with as_owner_of(state):
        for folder in folders:
            sync_folder(folder)


def _no_beat() -> None:
    """Report no progress: a bundle is copied in no time."""
