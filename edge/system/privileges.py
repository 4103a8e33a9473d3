"""
Lets root work below the daemon's folders with the daemon's rights only.

So no link that stands there leads root anywhere else.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

UMASK: Final = 0o027
"""As the daemon's: files 0640, folders 0750."""
_ONE_AT_A_TIME: Final = threading.RLock()
"""Keeps a second thread from seeing the first one's rights, and from getting root's back early."""


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """
    Run the block with the effective uid and gid of the folder's owner; no-op unless root.

    The rights are those of the process: its other threads have no more meanwhile. So it is for
    commands; the daemon is never root if it was installed.

    Raises:
        OSError: there is no such folder.
    """
    with _ONE_AT_A_TIME:
        owner = folder.stat()
        if os.geteuid() != 0 or owner.st_uid == 0:
            yield
            return
        group, groups, mask = os.getegid(), os.getgroups(), os.umask(UMASK)
        try:
            os.setgroups([])
            os.setegid(owner.st_gid)
            os.seteuid(owner.st_uid)  # last: nobody else may change the others
            yield
        finally:
            os.seteuid(0)
            os.setegid(group)
            os.setgroups(groups)
            os.umask(mask)


def make_folder(folder: Path) -> None:
    """Make a folder, unless it is there, that belongs to the owner of the one above it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with as_owner_of(folder.parent):
        folder.mkdir(exist_ok=True)
