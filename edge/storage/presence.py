"""Tells if there is a file of some name, and if there could be one, rather than a failing disk."""

from errno import EILSEQ, EINVAL, ENAMETOOLONG, ENOENT, ENOTDIR
from pathlib import Path
from typing import Final

from edge.errors import Unavailable

NO_NAME: Final = frozenset({ENAMETOOLONG, EINVAL, EILSEQ})
"""Errors that say that no file there could have that name."""
NO_SUCH: Final = NO_NAME | {ENOENT, ENOTDIR}
"""Errors that say that there is no such file, or that no file there could have that name."""


def unavailable(error: OSError) -> Unavailable:
    """Say why the disk does not let us, never with the file's name."""
    return Unavailable(f"spool: {error.strerror}")


def is_there(path: Path) -> bool:
    """
    Tell if there is anything of that name.

    Raises:
        Unavailable: the disk is failing.
    """
    try:
        path.lstat()
    except OSError as error:
        if error.errno in NO_SUCH:
            return False
        raise unavailable(error) from error
    return True


def could_be(path: Path) -> bool:
    """Tell if there could be a file of that name: `exists` fails at a name that is too long."""
    try:
        path.lstat()
    except OSError as error:
        return error.errno not in NO_NAME
    return True
