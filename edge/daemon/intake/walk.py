"""The folders of the inbox, one after the other, however deep or many a sender makes them."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

MAX_DEPTH: Final = 32
"""Levels below the inbox that are looked at; a path of no more is quick to resolve, too."""


class Walk:
    """
    One walk through a folder and those below it, which keeps no stack of calls.

    Folders whose name begins with a dot are left out, and no link is followed.

    Args:
        folder: the topmost.
        depth: levels between the inbox and this folder.
        enter: is called with each folder right before it is listed.
    """

    def __init__(
        self, folder: Path, depth: int = 0, enter: Callable[[Path], object] | None = None
    ) -> None:
        self._folder = folder
        self._depth = depth
        self._enter = enter
        self.unreadable = 0
        """Folders that could not be listed."""
        self.too_deep = 0
        """Folders that were not entered since they lie too deep."""

    def __iter__(self) -> Iterator[tuple[Path, list[str]]]:
        """
        Yield each folder with the names of what lies in it and is no folder.

        Raises:
            OSError: the topmost folder itself cannot be listed.
        """
        waiting = [(self._folder, self._depth)]
        while waiting:
            folder, depth = waiting.pop()
            if self._enter is not None:
                self._enter(folder)
            try:
                names, below = _entries(folder)
            except OSError:
                if folder == self._folder:
                    raise
                self.unreadable += 1
                continue
            yield folder, names
            if depth < MAX_DEPTH:
                waiting.extend((folder / name, depth + 1) for name in below)
            else:
                self.too_deep += len(below)


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    names, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith("."):
                    folders.append(entry.name)
            else:
                names.append(entry.name)
    return names, folders
