"""
Files that were seen in the inbox and not yet taken, and the rule for when one is ready.

A file is ready when its writer was seen to close it or to move it in, or when its size and mtime
have not changed for the quiet time. Nothing else tells that a writer has finished.
"""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IGNORED: Final = (".part", ".tmp")
"""Suffixes of files that their writers will rename."""


@dataclass(slots=True)
class Candidate:
    """A file that was seen and not yet taken."""

    size: int
    mtime_ns: int
    since: float
    """Monotonic time at which it last looked different, in seconds."""
    finished: bool = False
    """True if its writer was seen to close it or to move it in."""

    def is_ready(self, now: float, quiet_s: float) -> bool:
        """
        Tell if the file may be taken: it was finished, or has not changed for the quiet time.

        Args:
            now: monotonic time, in seconds.
            quiet_s: the quiet time, in seconds.
        """
        return self.finished or now - self.since >= quiet_s


class Candidates:
    """
    The candidates of one inbox.

    Args:
        folder: the inbox.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[Path, Candidate] = {}

    def __len__(self) -> int:
        """Count the files that were seen and not yet taken."""
        return len(self._found)

    def paths(self) -> list[Path]:
        """List what is known now."""
        return list(self._found)

    def note(self, path: Path, *, finished: bool, trusted_age_s: float) -> None:
        """
        Look at a file; forget it if it is gone.

        Args:
            path: below the inbox.
            finished: true if its writer was seen to close it or to move it in.
            trusted_age_s: an mtime this old says how long a new file has been lying there, in
                seconds; infinity if its clock is not ours.
        """
        if self._ignores(path):
            return
        try:
            found = path.lstat()
        except OSError:
            self._found.pop(path, None)
            return
        if not stat.S_ISREG(found.st_mode):
            return
        known, looks = self._found.get(path), (found.st_size, found.st_mtime_ns)
        if known is None:
            age_s = time.time() - found.st_mtime
            since = time.monotonic() - (age_s if age_s > trusted_age_s else 0.0)
            self._found[path] = Candidate(*looks, since, finished)
        elif looks != (known.size, known.mtime_ns):
            self._found[path] = Candidate(*looks, time.monotonic(), finished)
        else:
            known.finished = known.finished or finished

    def oldest_first(self) -> list[tuple[Path, Candidate]]:
        """List the candidates by their mtime."""
        return sorted(self._found.items(), key=lambda item: item[1].mtime_ns)

    def get(self, path: Path) -> Candidate | None:
        """Return the candidate of that path, if there is one."""
        return self._found.get(path)

    def forget(self, path: Path) -> None:
        """Forget a file that was taken."""
        self._found.pop(path, None)

    def _ignores(self, path: Path) -> bool:
        hidden = any(part.startswith(".") for part in path.relative_to(self._folder).parts)
        return hidden or path.name.endswith(IGNORED)


class Listing:
    """
    One walk through the inbox; counts what cannot be read.

    Args:
        folder: the inbox.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.unreadable = 0
        """Files that cannot be read, and folders that cannot be listed."""

    def __iter__(self) -> Iterator[Path]:
        """
        Yield one file at a time: a long list would be memory that the process keeps.

        Raises:
            OSError: the inbox itself cannot be listed.
        """
        for root, folders, names in os.walk(self._folder, onerror=self._note, followlinks=False):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                if not name.startswith(".") and not name.endswith(IGNORED):
                    path = Path(root, name)
                    yield path
                    self.unreadable += not os.access(path, os.R_OK)

    def _note(self, error: OSError) -> None:
        if error.filename == str(self._folder):
            raise error
        self.unreadable += 1
