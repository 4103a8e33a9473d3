"""What root does below the daemon's folders, it does with the daemon's rights: no link that stands there leads root anywhere else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

UMASK: Final = 0o027
"""As the daemon's: files 0640, folders 0750."""


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """
    Act as whose folder it is, the whole process, until the end; nothing changes for who is not root, or where the folder is root's.

    Raises:
        OSError: there is no such folder.
    """
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
